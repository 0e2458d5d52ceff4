import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/compile/program.ts';
import { dinoHead } from '../../src/model/dino-head.ts';
import { dinoHeadSpecs } from '../../src/model/dino-head-parameters.ts';
import { distil, distillationLoss, headChunk } from '../../src/objectives/distillation.ts';
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

describe('self-distillation in chunks', () => {
  // 6 images with 4 patches, of which 2 are masked, 3 wide.
  const [images, patches, masked, width] = [6, 4, 2, 3];
  const specs = dinoHeadSpecs('head', width, settings);
  const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const values = (who: string) =>
    Object.fromEntries(specs.map(({ name, shape }) => [name, draw(size(shape), `${who}/${name}`)]));
  const [own, taught] = [values('student'), values('teacher')];
  const tensors = (all: Record<string, number[]>) =>
    Object.fromEntries(specs.map(({ name, shape }) => [name, tf.tensor(all[name]!, [...shape])]));
  const student = draw(images * masked * width, 'student rows');
  const seen = draw(images * patches * width, 'teacher rows');
  const targets = Array.from({ length: images }, (_, b) => [b % 3, 3]).flat();

  /** Loss, centre, and the gradients of the rows of the student and of its head. */
  function found(chunk: number | 'unchunked'): number[][] {
    const p = tensors(own);
    const teacher = tensors(taught);
    const [center_K, teacher_BTxD] = [tf.tensor1d(center), tf.tensor2d(seen, [images * patches, width])];
    const inputs = [tf.tensor2d(student, [images * masked, width]), ...Object.values(p)];
    const aside: Tensor[] = [];
    const { value, grads } = tf.valueAndGrads((student_BSxD: Tensor, ...head: Tensor[]) => {
      const trained = Object.fromEntries(Object.keys(p).map((name, i) => [name, head[i]!]));
      if (chunk === 'unchunked') {
        const all = dinoHead(teacher, 'head', teacher_BTxD);
        const rows = tf.tensor1d(
          targets.map((patch, i) => Math.floor(i / masked) * patches + patch),
          'int32',
        );
        aside.push(tf.keep(center_K.mul(0.9).add(all.mean(0).mul(0.1))));
        return distillationLoss(
          tf.gather(all, rows),
          center_K,
          dinoHead(trained, 'head', student_BSxD),
          settings,
        ) as never;
      }
      const targets_BS = tf.tensor2d(targets, [images, masked], 'int32');
      const given = { head: 'head', p: trained, teacher, student_BSxD, teacher_BTxD, center_K, images, targets_BS };
      const { loss, center_K: next } = distil(given, settings, chunk);
      aside.push(tf.keep(next.clone()));
      return loss as never;
    })(inputs as never);
    return [value, ...aside, ...(grads as unknown as Tensor[])].map((tensor) => [...tensor.dataSync()]);
  }

  it.each([1, 2, 3, 6])('of %i images gives loss, centre and gradients of all at once', (chunk) => {
    const expected = found('unchunked');
    expect(expected[0]![0]).toBeGreaterThan(0.5);
    expect(found(chunk)).toEqual(expected.map((values) => values.map((value) => expect.closeTo(value, 5))));
  });

  it('moves the centre by a tenth of the way to the mean of the teacher', () => {
    const all = dinoHead(
      tensors(taught),
      'head',
      tf.tensor2d(seen, [images * patches, width]),
    ).arraySync() as number[][];
    const mean = center.map((_, k) => all.reduce((sum, row) => sum + row[k]!, 0) / all.length);
    expect(found(2)[1]).toEqual(center.map((c, k) => expect.closeTo(0.9 * c + 0.1 * mean[k]!, 6)));
  });

  it('takes a divisor of the images whose logits are 134 MB: two of B/16 with the head of patches', () => {
    expect(headChunk(64, 256 + 128, 32_768)).toBe(2);
    expect(headChunk(64, 9, 65_536)).toBe(32);
    expect(headChunk(7, 384, 32_768)).toBe(1);
    expect(headChunk(4096, 1 + 8, 65_536)).toBe(32);
    expect(headChunk(12, 4096 + 2048, 32_768)).toBe(1);
  });
});
