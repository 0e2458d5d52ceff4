import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingFiles } from '../../src/checkpoint/training-files.ts';
import type { ParameterSpec } from '../../src/model/parameters.ts';
import { firstMoment, optimiserStep, secondMoment, stepScalars } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { cosineFactor } from '../../src/recipe/schedule.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { readUpdates, updateTensors } from '../../src/train/stored-updates.ts';
import {
  correctionValues,
  countGroups,
  noUpdates,
  ownCorrections,
  ownCounts,
  type Updates,
  updatedParameters,
  updatesAfter,
} from '../../src/train/updates.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch, tinyObjectives } from './tiny-objectives.ts';

interface Late {
  readonly schedule: readonly number[];
  readonly start: Readonly<Record<string, readonly number[]>>;
  readonly steps: readonly {
    readonly gradients: Readonly<Record<string, readonly number[]>>;
    readonly after: Readonly<Record<string, readonly number[]>>;
    readonly counts: Readonly<Record<string, number>>;
  }[];
}

describe('the updates of parameters that come late, or rest meanwhile', () => {
  const late = JSON.parse(readFileSync(new URL('fixtures/late-updates.json', import.meta.url), 'utf8')) as Late;
  const init = { kind: 'constant', value: 0 } as const;
  const spec = (name: string, shape: number[], decay: boolean): ParameterSpec => ({ name, shape, init, decay });
  const plain = [spec('kernel', [2, 3], true), spec('bias', [3], false)];
  const resting = spec('resting', [2, 2], true);
  const phases = [
    { parameters: [...plain, resting, spec('table', [3, 2], false)], rests: false, steps: [1, 2, 3] },
    {
      parameters: [...plain, resting, spec('table', [5, 2], false), spec('late', [2, 2], true)],
      rests: true,
      steps: [4, 5, 6],
    },
    {
      parameters: [...plain, resting, spec('table', [5, 2], false), spec('late', [2, 2], true)],
      rests: false,
      steps: [7, 8, 9],
    },
  ];
  const settings = {
    ...{ learningRate: 0.03, weightDecay: 0.02, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clipNorm: 1 },
    multipliers: {},
  };
  const rowsOf = (of: Readonly<Record<string, readonly number[]>>, name: string) =>
    name === 'table' ? [...of.old_rows!, ...(of.new_rows ?? [])] : of[name];

  it("are those of PyTorch's AdamW, each by a count of its own: decay, moments and counts of what rests stand still", () => {
    let state: Record<string, Tensor> = {};
    let updates: Updates = noUpdates;
    for (const { parameters, rests, steps } of phases) {
      const read = new Set(parameters.map(({ name }) => name).filter((name) => !(rests && name === 'resting')));
      const phase = { parameters, read };
      // What a phase goes on from: moments of what is new are zero, and have seen nothing.
      const before = updates.own;
      const counts = parameters.map(({ name, shape }): [string, Int32Array] => {
        const size = shape.reduce((a, b) => a * b, 1);
        const held = state[name]?.dataSync().length ?? 0;
        const grown = (key: string, values: readonly number[]) => {
          const old = [...(state[key]?.dataSync() ?? [])];
          state[key] = tf.tensor([...old, ...values.slice(old.length)], shape as number[]);
        };
        grown(name, rowsOf(late.start, name)!.slice(0, size));
        for (const moment of [`m/${name}`, `v/${name}`]) grown(moment, new Array(size).fill(0));
        const known = before[name] ?? Int32Array.of(held > 0 ? updates.step : 0);
        if (held === 0 || held === size) return [name, known];
        return [name, Int32Array.from({ length: shape[0]! }, (_, row) => (row < held / shape[1]! ? known[0]! : 0))];
      });
      updates = { step: updates.step, own: ownCounts(updates.step, counts) };
      expect(countGroups(phase, updates).length).toBe(steps[0] === 1 ? 0 : 2);
      for (const step of steps) {
        const { gradients, after, counts } = late.steps[step - 1]!;
        const specs = updatedParameters(phase, updates);
        const tensors = specs.map(({ name, shape }) => [name, tf.tensor(rowsOf(gradients, name)!, shape as number[])]);
        const own = correctionValues(settings, phase, updates, step);
        const shapes = new Map(countGroups(phase, updates).map(({ name, feed }) => [name, feed.shape]));
        const feeds = Object.entries(own).map(([key, values]) => [
          key,
          tf.tensor(values, shapes.get(key.split('/')[1]!) as number[]),
        ]);
        const { schedule, ...common } = stepScalars(settings, step, late.schedule[step - 1]!);
        const result = optimiserStep(
          specs,
          settings,
          state,
          Object.fromEntries(tensors),
          {
            schedule: tf.scalar(schedule),
            correction1: tf.scalar(common.correction1),
            correction2: tf.scalar(common.correction2),
          },
          ownCorrections(phase, updates, Object.fromEntries(feeds)),
        );
        state = { ...state, ...result.state };
        for (const { name } of parameters)
          expect([...state[name]!.dataSync()], `${name} after step ${step}`).toEqual(
            rowsOf(after, name)!
              .slice(0, state[name]!.size)
              .map((value) => expect.closeTo(value, 6)),
          );
        const now = updatesAfter(phase, updates, step).own;
        expect(now.resting?.[0] ?? step).toBe(counts.resting);
        expect(now.late?.[0] ?? step).toBe(counts.late || step);
        if (step > 3)
          expect([...now.table!]).toEqual([...new Array(3).fill(counts.old_rows), counts.new_rows, counts.new_rows]);
      }
      updates = updatesAfter(phase, updates, steps.at(-1)!);
    }
  });
});

describe('a phase', () => {
  let scratch: string;
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'siglip2-updates-'));
  });
  afterAll(() => rm(scratch, { recursive: true, force: true }));

  const settings: PhaseSettings = {
    ...tinySettings,
    objectives: { captioning: tinyObjectives.captioning },
    batches: { ...tinySettings.batches, parts: { captionTargets: { parallel: 0.5, lossOn: 'both' } } },
    schedule: { total: 6 * 40, warmup: 0 },
    optimizer: { ...tinySettings.optimizer, beta2: 0.999, multipliers: {} },
  };
  const parent = { ...tinySettings, schedule: settings.schedule, optimizer: settings.optimizer };
  const fuseFrom = Number.POSITIVE_INFINITY;

  const fresh = { step: 0, within: false };

  /** Trains from a state in a folder, and writes what it is at some steps into others. */
  async function train(of: PhaseSettings, from: string | null, at: typeof fresh, steps: readonly number[]) {
    const updates = from ? await readUpdates(from, of, at) : noUpdates;
    const trainer = createTrainer(of, { fuseFrom, updates });
    trainer.program.write(from ? await readState(from, of) : freshState(of));
    const saved = [];
    for (let step = at.step + 1; step <= steps.at(-1)!; step++) {
      trainer.step(step, noiseBatch(of, step));
      if (!steps.includes(step)) continue;
      const values = trainer.program.read(trainer.stateNames);
      const folder = await mkdtemp(join(scratch, 'state-'));
      const { sha256 } = await writeState(folder, of, values, { tensors: updateTensors(trainer.updatesAfter(step)) });
      saved.push({ values, sha256, folder });
    }
    trainer.program.dispose();
    return saved;
  }

  it('that adds a decoder and reads no texts trains the one as if it were new, and leaves the towers of the other still; a resume is the same', async () => {
    const [began] = await train(parent, null, fresh, [3]);
    expect(await countsIn(began!.folder)).toEqual({});
    const at = { step: 3, within: false };
    const [first, fourth, last] = await train(settings, began!.folder, at, [4, 5, 6]);
    const { read, parameters } = phaseState(settings);
    for (const { name } of parameters.filter(({ name }) => !read.has(name)))
      for (const key of [name, firstMoment(name), secondMoment(name)])
        expect(last!.values[key], key).toEqual(began!.values[key]);
    expect(read.has('text_model.head.weight') || read.has('vision_model.head.probe')).toBe(false);
    // Adam's first update of a number is the learning rate, whatever its gradient is; by the count of the run it would be 0.58 of that.
    const bias = 'decoder.lm_head.bias';
    const moved = first!.values[bias]!.map((value) => Math.abs(value)).filter((value) => value > 0);
    expect(moved.length).toBeGreaterThan(5);
    for (const value of moved)
      expect(value / (settings.optimizer.learningRate * cosineFactor(3 * 6, 240, 0))).toBeCloseTo(1, 2);

    const counts = await countsIn(fourth!.folder);
    expect([counts[bias], counts['text_model.head.weight'], counts.logit_scale]).toEqual([2, 3, 3]);
    expect(Object.keys(counts)).not.toContain('vision_model.post_layernorm.weight');
    const [resumed] = await train(settings, fourth!.folder, { step: 5, within: true }, [6]);
    expect(resumed!.sha256).toBe(last!.sha256);
    // What goes on from it and reads texts again corrects them by what they have seen.
    const both = { ...settings, objectives: { ...settings.objectives, ...tinySettings.objectives } };
    const { own } = await readUpdates(last!.folder, both, { step: 6, within: false });
    expect(countGroups(phaseState(both), { step: 6, own }).map(({ members }) => members.length)).toEqual([
      parameters.filter(({ name }) => !read.has(name) || name.startsWith('decoder.')).length,
    ]);
  }, 60_000);

  it('of a release that kept no counts ends as it began: all of it is updated, by the count of the run', async () => {
    const [began] = await train(parent, null, fresh, [3]);
    const folder = join(scratch, 'old');
    await mkdir(folder);
    const values = await readState(began!.folder, settings);
    await writeState(folder, settings, values);
    const within = { step: 5, within: true };
    expect(await readUpdates(folder, settings, within)).toEqual({ step: 5, own: {}, everything: true });
    const [next] = await train(settings, folder, within, [6]);
    expect(await countsIn(next!.folder)).toEqual({});
    const weight = 'text_model.encoder.layers.0.mlp.fc1.weight';
    const { beta1, beta2, epsilon, learningRate, weightDecay } = settings.optimizer;
    const factor = cosineFactor(5 * 6, 240, 0);
    const expected = values[weight]!.map((p, i) => {
      const m = beta1 * values[firstMoment(weight)]![i]!;
      const v = beta2 * values[secondMoment(weight)]![i]!;
      const adam = m / (1 - beta1 ** 6) / (Math.sqrt(v / (1 - beta2 ** 6)) + epsilon);
      return p - factor * (learningRate * adam + weightDecay * p);
    });
    expect([...next!.values[weight]!]).toEqual([...expected].map((value) => expect.closeTo(value, 5)));
  }, 60_000);
});

/** The counts that a state keeps, by parameter: of one number each. */
async function countsIn(folder: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const path of await trainingFiles(folder)) {
    const file = await SafetensorsFile.open(path);
    for (const name of file.tensors.keys())
      if (name.startsWith('updates/')) counts[name.slice(8)] = new Int32Array((await file.read(name)).buffer)[0]!;
    await file.close();
  }
  return counts;
}
