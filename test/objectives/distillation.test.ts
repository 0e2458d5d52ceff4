import { describe, expect, it } from 'vitest';
import { compile } from '../../src/compile/program.ts';
import { dinoHead, dinoHeadSpecs } from '../../src/model/dino-head.ts';
import { distillationLoss, nextCenter } from '../../src/objectives/distillation.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const settings = {
  weight: 1,
  hidden: 6,
  bottleneck: 4,
  prototypes: 5,
  studentTemperature: 0.1,
  teacherTemperature: 0.04,
  centerMomentum: 0.9,
};
const [rows, views, prototypes] = [3, 2, 5];
const draw = (count: number, purpose: string, size = 1) => {
  const random = randomStream(5, purpose);
  return Array.from({ length: count }, () => size * (2 * random.next() - 1));
};
const teacher = draw(rows * prototypes, 'teacher');
const student = draw(rows * views * prototypes, 'student');
const center = draw(prototypes, 'center', 0.1);

const softmax = (x: readonly number[]) => {
  const powers = x.map((value) => Math.exp(value - Math.max(...x)));
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
};
/** One row and one prototype at a time, in float64. */
function slowLoss(student: readonly number[]): number {
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const own = teacher.slice(row * prototypes, (row + 1) * prototypes);
    const target = softmax(own.map((t, d) => (t - center[d]!) / 0.04));
    for (let view = 0; view < views; view++) {
      const at = (row * views + view) * prototypes;
      const said = softmax(student.slice(at, at + prototypes).map((s) => s / 0.1));
      for (let d = 0; d < prototypes; d++) sum -= target[d]! * Math.log(said[d]!);
    }
  }
  return sum / (rows * views);
}
const t = () => tf.tensor2d(teacher, [rows, prototypes]);
const c = () => tf.tensor1d(center);
const loss = (s: Parameters<typeof distillationLoss>[2]) => distillationLoss(t(), c(), s, settings);

describe('the distillation loss', () => {
  it('is the mean cross entropy of every view with the centred, sharpened teacher', () => {
    expect(loss(tf.tensor2d(student, [rows * views, prototypes])).dataSync()[0]).toBeCloseTo(slowLoss(student), 5);
  });

  it('has the gradient that differences of the slow loss have', () => {
    const gradient = tf
      .grad((s) => loss(s))(tf.tensor2d(student, [rows * views, prototypes]))
      .dataSync();
    const step = 1e-5;
    for (const i of student.keys()) {
      const moved = (by: number) => slowLoss(student.map((s, j) => (i === j ? s + by : s)));
      expect(gradient[i]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 4);
    }
  });

  it('compiled gives what it gives op by op', () => {
    const program = compile({
      state: {},
      signatures: {
        loss: {
          feeds: { student: { shape: [rows * views, prototypes], dtype: 'float32' } },
          run: (_, feeds) => ({ outputs: { loss: loss(feeds.student!) } }),
        },
      },
    });
    const result = program.run('loss', { student: Float32Array.from(student) });
    program.dispose();
    expect(result.loss![0]).toBeCloseTo(slowLoss(student), 5);
  });

  it('moves the centre by a tenth of the way to the mean of the teacher', () => {
    const next = nextCenter(tf.tensor1d([1, 0]), tf.tensor2d([3, 1, 5, -3], [2, 2]), settings);
    // 0.9 (1, 0) + 0.1 (4, -1)
    expect([...next.dataSync()]).toEqual([expect.closeTo(1.3, 6), expect.closeTo(-0.1, 6)]);
  });
});

describe('the head', () => {
  const specs = dinoHeadSpecs('head', 3, settings);
  const values = Object.fromEntries(
    specs.map(({ name, shape }) => [
      name,
      draw(
        shape.reduce((a, b) => a * b, 1),
        name,
      ),
    ]),
  );
  const p = Object.fromEntries(specs.map(({ name, shape }) => [name, tf.tensor(values[name]!, [...shape])]));
  const x = draw(2 * 3, 'x');

  it('has the values of a slow loop over its layers', () => {
    const layer = (input: number[], name: string) => {
      const weight = values[`head.mlp.${name}.weight`]!;
      return values[`head.mlp.${name}.bias`]!.map((bias, o) =>
        input.reduce((sum, value, i) => sum + value * weight[o * input.length + i]!, bias),
      );
    };
    const gelu = (v: number) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
    const unit = (v: number[]) => v.map((value) => value / Math.hypot(...v));
    const expected = [0, 1].flatMap((row) => {
      const hidden = layer(layer(x.slice(row * 3, row * 3 + 3), '0').map(gelu), '2').map(gelu);
      const narrow = unit(layer(hidden, '4'));
      return Array.from({ length: 5 }, (_, k) => {
        const prototype = unit(values['head.last_layer.weight_v']!.slice(k * 4, k * 4 + 4));
        return prototype.reduce((sum, value, i) => sum + value * narrow[i]!, 0);
      });
    });
    const actual = dinoHead(p, 'head', tf.tensor2d(x, [2, 3])).dataSync();
    expect([...actual]).toEqual(expected.map((value) => expect.closeTo(value, 5)));
  });

  it('does not see the length of its prototypes', () => {
    const longer = { ...p, 'head.last_layer.weight_v': p['head.last_layer.weight_v']!.mul(7) };
    const [a, b] = [p, longer].map((p) => dinoHead(p, 'head', tf.tensor2d(x, [2, 3])).dataSync());
    expect([...b!]).toEqual([...a!].map((value) => expect.closeTo(value, 6)));
  });
});
