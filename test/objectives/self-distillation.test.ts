import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { dinoHead } from '../../src/model/dino-head.ts';
import { initialise } from '../../src/model/initialise.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import { normalisePixels, visionTower } from '../../src/model/vision-tower.ts';
import { localToGlobal } from '../../src/objectives/local-to-global.ts';
import { maskedPrediction } from '../../src/objectives/masked-prediction.ts';
import type { Features } from '../../src/objectives/objective.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { bytesTensor } from '../train/bytes-tensor.ts';
import { tinySettings } from '../train/settings.ts';

const { model } = tinySettings;
const sizes = { hidden: 6, bottleneck: 4, prototypes: 5 };
const common = { weight: 1, ...sizes, studentTemperature: 0.1, teacherTemperature: 0.04, centerMomentum: 0.9 };
const [batch, views, patches, masked] = [3, 2, 4, 2];
const random = randomStream(4, 'self-distillation');

/** Parameters of both objectives; a teacher is another draw of the same. */
function parameters(): Record<string, Tensor> {
  const specs = [
    ...parameterSpecs(model),
    ...localToGlobal.parameters({ ...common, views, resolution: 8 }, model),
    ...maskedPrediction.parameters({ ...common, share: 0.5 }, model),
  ];
  return Object.fromEntries(
    specs.map((spec) => [
      spec.name,
      tf.tensor(
        initialise(1, spec).map((x) => x + 0.1 * random.normal()),
        [...spec.shape],
      ),
    ]),
  );
}
const [student, teacher] = [parameters(), parameters()];
const pictures = (count: number) => Uint8Array.from({ length: count * 8 * 8 * 3 }, () => random.below(256));
const [globalView, localViews] = [pictures(batch), pictures(batch * views)];
const maskedPatches = [0, 3, 1, 2, 0, 1];
const centre = Array.from({ length: 5 }, () => 0.1 * random.normal());
const floats = (bytes: Uint8Array) => normalisePixels(bytesTensor(bytes, [bytes.length / 192, 8, 8, 3]));
const rowsOf = (tensor: Tensor, width: number) => {
  const all = [...tensor.dataSync()];
  return Array.from({ length: all.length / width }, (_, i) => all.slice(i * width, (i + 1) * width));
};
const softmax = (x: number[]) => {
  const powers = x.map((value) => Math.exp(value - Math.max(...x)));
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
};
/** Cross entropy of one row of prototypes with its target, in float64. */
const apart = (taught: number[], said: number[]) => {
  const target = softmax(taught.map((value, d) => (value - centre[d]!) / 0.04));
  const own = softmax(said.map((value) => value / 0.1));
  return -target.reduce((sum, p, d) => sum + p * Math.log(own[d]!), 0);
};
const inputs = (feeds: Record<string, Tensor>) => ({
  model,
  tower: {},
  p: student,
  teacher,
  state: { dino_center: tf.tensor1d(centre), patch_center: tf.tensor1d(centre) },
  feeds,
  features: { teacherGlobal: visionTower(teacher, model, floats(globalView)) } as unknown as Features,
});
const value = (tensor: Tensor) => tensor.dataSync()[0]!;

describe('local-to-global', () => {
  it('compares every local view with the teacher on its own image, and moves the centre by the teacher', () => {
    const settings = { ...common, views, resolution: 8 };
    const { loss, state } = localToGlobal.loss({
      ...inputs({ localViews: bytesTensor(localViews, [batch * views, 8, 8, 3]) }),
      settings,
    });
    const taught = rowsOf(dinoHead(teacher, 'dino_head', visionTower(teacher, model, floats(globalView)).pooled), 5);
    const said = rowsOf(dinoHead(student, 'dino_head', visionTower(student, model, floats(localViews)).pooled), 5);
    let sum = 0;
    for (let image = 0; image < batch; image++)
      for (let view = 0; view < views; view++) sum += apart(taught[image]!, said[image * views + view]!);
    expect(value(loss as Tensor)).toBeCloseTo(sum / (batch * views), 4);
    const mean = (d: number) => taught.reduce((all, row) => all + row[d]!, 0) / batch;
    const expected = centre.map((c, d) => expect.closeTo(0.9 * c + 0.1 * mean(d), 5));
    expect([...state!.dino_center!.dataSync()]).toEqual(expected);
  });
});

describe('what the teacher says', () => {
  const entropy = (said: number[]) => -said.reduce((sum, p) => sum + p * Math.log(p), 0);
  const target = (row: number[]) => softmax(row.map((value, d) => (value - centre[d]!) / 0.04));

  it.each([
    ['the pictures', 'dino_head', 'pooled', localToGlobal, { ...common, views, resolution: 8 }],
    ['all patches of them', 'patch_head', 'encoded', maskedPrediction, { ...common, share: 0.5 }],
  ] as const)('is, of %s, the mean of its targets and of their entropies', (_, head, rows, objective, settings) => {
    const { teacher, state, features } = inputs({});
    const said = rowsOf(dinoHead(teacher, head, features.teacherGlobal[rows]), 5).map(target);
    const { mean_K, entropy: found } = (objective as typeof localToGlobal).says!({
      ...{ teacher, state, features, settings: settings as never },
    });
    const mean = Array.from({ length: 5 }, (_, k) => said.reduce((sum, row) => sum + row[k]! / said.length, 0));
    expect([...mean_K.dataSync()]).toEqual(mean.map((p) => expect.closeTo(p, 5)));
    expect(value(found)).toBeCloseTo(
      said.reduce((sum, row) => sum + entropy(row) / said.length, 0),
      4,
    );
  });
});

describe('masked prediction', () => {
  const lossOf = (pixels: Uint8Array) =>
    maskedPrediction.loss({
      ...inputs({
        globalView: bytesTensor(pixels, [batch, 8, 8, 3]),
        maskedPatches: tf.tensor2d(maskedPatches, [batch, masked], 'int32'),
      }),
      settings: { ...common, share: 0.5 },
    });
  /** The same images with one patch of one of them turned into its negative. */
  const changed = (image: number, patch: number) => {
    const pixels = globalView.slice();
    for (let y = 0; y < 4; y++)
      for (let x = 0; x < 4 * 3; x++) {
        const at = ((image * 8 + Math.floor(patch / 2) * 4 + y) * 8 + (patch % 2) * 4) * 3 + x;
        pixels[at] = 255 - pixels[at]!;
      }
    return pixels;
  };

  it('compares what is said of masked patches with the teacher on the very patches, and moves the centre by all', () => {
    const { loss, state } = lossOf(globalView);
    const width = model.vision.width;
    // Every image by itself, its masked patches put in by hand before the blocks.
    const taught = rowsOf(dinoHead(teacher, 'patch_head', visionTower(teacher, model, floats(globalView)).encoded), 5);
    let sum = 0;
    for (let image = 0; image < batch; image++) {
      const own = maskedPatches.slice(image * masked, (image + 1) * masked);
      const at = tf.tensor2d(
        Array.from({ length: patches }, (_, patch) => (own.includes(patch) ? 1 : 0)),
        [patches, 1],
      );
      const one = floats(globalView.subarray(image * 192, (image + 1) * 192));
      const mask = { token: student.mask_token!, at };
      const rows = rowsOf(dinoHead(student, 'patch_head', visionTower(student, model, one, { mask }).encoded), 5);
      for (const patch of own) sum += apart(taught[image * patches + patch]!, rows[patch]!) / masked;
    }
    expect(value(loss as Tensor)).toBeCloseTo(sum / batch, 4);
    expect(student.mask_token!.shape).toEqual([width]);
    const mean = (d: number) => taught.reduce((all, row) => all + row[d]!, 0) / taught.length;
    const expected = centre.map((c, d) => expect.closeTo(0.9 * c + 0.1 * mean(d), 5));
    expect([...state!.patch_center!.dataSync()]).toEqual(expected);
  });

  it('does not see what is masked, and sees what is not', () => {
    const before = value(lossOf(globalView).loss as Tensor);
    for (let image = 0; image < batch; image++) {
      const own = maskedPatches.slice(image * masked, (image + 1) * masked);
      for (let patch = 0; patch < patches; patch++) {
        const after = value(lossOf(changed(image, patch)).loss as Tensor);
        if (own.includes(patch)) expect(after, `${image}, ${patch}`).toBe(before);
        else expect(Math.abs(after - before), `${image}, ${patch}`).toBeGreaterThan(1e-6);
      }
    }
  });
});
