import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingFiles } from '../../src/checkpoint/training-files.ts';
import type { Embeddings } from '../../src/curation/pair-scores.ts';
import { BatchMaker } from '../../src/data/batches/batch-maker.ts';
import type { Batch } from '../../src/data/batches/types.ts';
import { ShardCache } from '../../src/data/index/shard-cache.ts';
import { type Embedder, openEmbedder } from '../../src/model/embed.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';
import { embedCandidates } from '../../src/train/candidates.ts';
import { type KeptChoice, readKept } from '../../src/train/kept-choice.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { createTrainer, type Trainer } from '../../src/train/step.ts';
import type { Snapshot, StepRecord, TrainJob } from '../../src/trainer/protocol.ts';
import { TrainingSession } from '../../src/trainer/session.ts';
import { bruteForce } from '../curation/brute-force.ts';
import { chosen, inRows } from '../data/batches/whole.ts';
import { type TaughtData, taughtData } from '../scoring/teacher.ts';
import { tinySettings } from './settings.ts';

// Real emoji on a real S3 server, a teacher that scores online, the real session: five steps, a snapshot after each.
const steps = 5;
const [batch, candidates, chunks] = [12, 24, 4];
let data: TaughtData;
let scratch: string;
let settings: PhaseSettings;
let session: TrainingSession;
let plain: Trainer;
let teacher: Embedder;
let maker: BatchMaker;
let whole: Snapshot[];

const job = (change: Partial<TrainJob> = {}): TrainJob => ({
  kind: 'train',
  settings,
  indexFile: join(scratch, 'index.json'),
  from: null,
  begins: { step: 0, examples: 0 },
  skip: [],
  toStep: steps,
  checkpointEvery: 1,
  snapshotFolder: join(scratch, 'snapshots'),
  teacherFolder: data.folder,
  ...change,
});

let runs = 0;
async function train(
  on: TrainingSession,
  change: Partial<TrainJob> = {},
  stopAfter = steps,
  records: StepRecord[] = [],
): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  const snapshotFolder = join(scratch, `run-${++runs}`);
  await on.train(job({ snapshotFolder, ...change }), {
    progress: (progress) => void records.push(...progress.records),
    snapshot: (snapshot) => void snapshots.push(snapshot),
    note() {},
    pace() {},
    uploaded: () => null,
    stopWanted: () => snapshots.length + 1 >= stopAfter,
  });
  return snapshots;
}

const at = (step: number) => whole[step - 1]!;
const from = ({ folder, sha256, step, examples }: Snapshot) => ({ folder, sha256, step, examples });
const modelSha = ({ state }: Pick<Snapshot, 'state'>) => state.find(({ path }) => path === 'model.safetensors')!.sha256;
const shas = (snapshots: readonly Snapshot[]) => snapshots.map(({ sha256 }) => sha256);

beforeAll(async () => {
  data = await taughtData();
  scratch = await mkdtemp(join(tmpdir(), 'siglip2-overlap-'));
  Object.assign(process.env, data.env);
  await writeFile(join(scratch, 'index.json'), JSON.stringify(data.index.document));
  const { model, vocabulary } = data;
  teacher = await openEmbedder(data.folder, model, vocabulary);
  const { logitScale, logitBias } = teacher;
  settings = {
    ...tinySettings,
    phase: 'acid',
    model,
    schedule: { total: 1000 * batch, warmup: 0, shape: 'constant' },
    curation: {
      ...{ chunks, scores: 'learnability', joint: true, scoring: 'online', dtype: 'f32', overlap: true },
      teacher: { sha256: 'a'.repeat(64), model, logitScale, logitBias },
    },
    batches: {
      ...tinySettings.batches,
      ...{ phase: 'acid', batch, candidates, resolution: 16, textLength: 12, vocabulary },
      data: { ...tinySettings.batches.data, train: 'data/emoji/train' },
    },
  };
  session = new TrainingSession();
  plain = createTrainer(settings);
  maker = new BatchMaker(data.index, settings.batches, new ShardCache(data.store, join(scratch, 'shards')));
  await writeState(scratch, settings, freshState(settings));
  whole = await train(session);
}, 120_000);
afterAll(async () => {
  await session.close();
  plain.program.dispose();
  teacher.dispose();
  await data.stop();
  await rm(scratch, { recursive: true, force: true });
});

/** What a model makes of a super-batch: one row after the other, by a graph of its own. */
function embed({ logitScale, logitBias, ...embedder }: Embedder, { images, tokens }: Batch): Embeddings {
  const full = tokens.map((row) => data.vocabulary[row]!);
  return { images: embedder.images(images), texts: embedder.texts(full), logitScale, logitBias };
}

async function embedBy(folder: string, superBatch: Batch): Promise<Embeddings> {
  plain.program.write(await readState(folder, settings));
  return embedCandidates(plain.program, settings, await inRows(superBatch, candidates));
}

/** Which of super-batch `k` are chosen for a step by the learner in `folder`, all B x B scores written out. */
async function picksBy(folder: string, step: number, k: number): Promise<number[]> {
  const superBatch = await maker.make(k);
  const width = data.model.vision.width;
  const selection = {
    ...{ candidates, picks: batch, chunks, joint: true, scores: 'learnability' as const, seed: settings.seed },
    ...{ phase: 'acid', learnerWidth: width, teacherWidth: width },
  };
  return bruteForce(selection, step, await embedBy(folder, superBatch), embed(teacher, superBatch)).picked;
}

/** One step on these rows of super-batch `k` from the state in `folder`: the hash of the model that comes out. */
async function stepped(folder: string | null, step: number, k: number, picks: number[], seen = (step - 1) * batch) {
  plain.program.write(folder ? await readState(folder, settings) : freshState(settings));
  plain.step(step, chosen(await maker.make(k), picks, candidates), seen);
  const out = await mkdtemp(join(scratch, 'stepped-'));
  return modelSha(await writeState(out, settings, plain.program.read(plain.stateNames)));
}

describe('the learner of a graph that trains', () => {
  it('embeds candidates as the model that it exports does', async () => {
    const superBatch = await maker.make(7);
    const exported = await openEmbedder(at(2).folder, data.model, data.vocabulary);
    const expected = embed(exported, superBatch);
    exported.dispose();
    const { images, texts, logitScale, logitBias } = await embedBy(at(2).folder, superBatch);
    expect([logitScale, logitBias]).toEqual([expected.logitScale, expected.logitBias]);
    expect([...images]).toEqual([...expected.images].map((value) => expect.closeTo(value, 5)));
    expect([...texts]).toEqual([...expected.texts].map((value) => expect.closeTo(value, 5)));
  });
});

describe('choices that overlap steps', () => {
  it('are those of a plain loop that scores each super-batch with the learner of one step before', async () => {
    let fresh = 0;
    for (let step = 1; step <= steps; step++) {
      const before = step === 1 ? scratch : at(step - 1).folder;
      // Before the first step there is no older learner.
      const older = step <= 2 ? scratch : at(step - 2).folder;
      const picks = await picksBy(older, step, step - 1);
      if (step > 1) expect([...(await readKept(before))!.picks]).toEqual(picks);
      expect(await stepped(step === 1 ? null : before, step, step - 1, picks)).toBe(modelSha(at(step)));
      if ((await picksBy(before, step, step - 1)).join() !== picks.join()) fresh++;
    }
    // The learner as it is would have chosen others.
    expect(fresh).toBeGreaterThan(1);
  }, 120_000);

  it('are the same after a kill at any step, in shards of any length, and in a session that knows nothing', async () => {
    // The only snapshot is the last one.
    for (let step = 1; step < steps; step++)
      expect(shas(await train(session, { from: from(at(step)), checkpointEvery: 100 }))).toEqual([at(steps).sha256]);
    // What waits for the next shard is not looked up in files: they are gone.
    const first = await train(session, { toStep: 2 });
    const warm = { ...from(first.at(-1)!), folder: join(scratch, 'gone') };
    const stopped = await train(session, { from: warm }, 2);
    expect(shas([...first, ...stopped])).toEqual(shas(whole.slice(0, 4)));
    const other = new TrainingSession();
    expect(shas(await train(other, { from: from(stopped.at(-1)!) }))).toEqual(shas(whole.slice(4)));
    await other.close();
  }, 120_000);

  it('are made anew with the learner at hand where another batch is next, and kept where it is a later one that is left out', async () => {
    const after = at(3);
    const own = await picksBy(after.folder, 4, 4);
    const without = await train(session, { from: from(after), skip: [3], toStep: 5 });
    expect(modelSha(without[0]!)).toBe(await stepped(after.folder, 4, 4, own));
    // Warm, in the session that holds the state already, as from files.
    await train(session, { toStep: 3 });
    expect(shas(await train(session, { from: from(after), skip: [3], toStep: 5 }))).toEqual(shas(without));
    const later = await train(session, { from: from(after), skip: [4], toStep: 5 });
    expect(modelSha(later[0]!)).toBe(modelSha(at(4)));
    expect(later[1]!.sha256).not.toBe(at(5).sha256);
    expect([...(await readKept(later[0]!.folder))!.picks]).toEqual(await picksBy(after.folder, 5, 5));
  }, 120_000);

  it('are no matter of phases that go on from them', async () => {
    const after = at(3);
    const { step, examples } = after;
    const branch = { ...settings, phase: 'other', batches: { ...settings.batches, phase: 'other' } };
    const other = new TrainingSession();
    const begins = { step, examples };
    const [first] = await train(other, { settings: branch, from: from(after), begins, toStep: 4 });
    expect((await readKept(first!.folder))!.of).not.toBe((await readKept(at(4).folder))!.of);
    const { curation: _, ...uncurated } = settings;
    const { candidates: __, ...batches } = settings.batches;
    const plainPhase = { ...uncurated, phase: 'plain', batches: { ...batches, phase: 'plain' } };
    const [next] = await train(other, { settings: plainPhase, from: from(after), begins, toStep: 4 });
    expect(await readKept(next!.folder)).toBeNull();
    await other.close();
  }, 60_000);
});

describe('choices that do not', () => {
  it('are made with the learner as it is, and leave nothing in checkpoints; both tell how long steps wait for them', async () => {
    const { overlap: _, ...curation } = settings.curation!;
    const other = new TrainingSession();
    const [first, second] = await train(other, { settings: { ...settings, curation }, toStep: 2 });
    await other.close();
    const picks = await picksBy(first!.folder, 2, 1);
    expect(modelSha(second!)).toBe(await stepped(first!.folder, 2, 1, picks));
    for (const path of await trainingFiles(second!.folder)) {
      const file = await SafetensorsFile.open(path);
      expect([...file.tensors.keys()].filter((name) => name.startsWith('choice/'))).toEqual([]);
      await file.close();
    }
    expect(await readKept(second!.folder)).toBeNull();
    for (const { metrics } of [second!, at(steps)]) {
      const share = metrics.objectives!['curation/waitShare']!;
      expect(share).toBeGreaterThan(0);
      expect(share).toBeLessThan(1);
    }
  }, 60_000);
});

describe('records of steps', () => {
  it('are the same after a kill in the middle of what one of them stands for, and tell of the step, of means and of the process', async () => {
    const begins = { step: 1000, examples: 1000 * batch };
    const late = { begins, toStep: 1010, checkpointEvery: 4 };
    const undisturbed: StepRecord[] = [];
    const [fourth, , last] = await train(session, late, steps, undisturbed);
    expect(undisturbed.map(({ step }) => step)).toEqual([1010]);
    expect(last!.metrics.since).toBe(undefined);
    expect(fourth!.metrics.since).toMatchObject({ steps: 4 });
    const other = new TrainingSession();
    const since = JSON.parse(JSON.stringify(fourth!.metrics.since));
    const again: StepRecord[] = [];
    const resumed = { ...late, from: { ...from(fourth!), since }, skipped: fourth!.skipped };
    await train(other, { ...resumed, toStep: 1007 }, steps, again);
    expect(again).toEqual([]);
    await train(other, resumed, steps, again);
    await other.close();
    const own = /^(examplesPerSecond|dataWaitShare|curation\/waitShare|memory\/.*)$/;
    const values = ({ step, values }: StepRecord) => [
      step,
      Object.fromEntries(Object.entries(values).filter(([name]) => !own.test(name))),
    ];
    expect(again.map(values)).toEqual(undisturbed.map(values));
    const { values: told } = again[0]!;
    expect(told).toMatchObject({
      learningRate: settings.optimizer.learningRate,
      'curation/chosen': expect.any(Number),
      'curation/chosen/mean': expect.any(Number),
      'gradientNorm/mean': expect.any(Number),
    });
    expect(told.loss).not.toBe(told['loss/mean']);
    expect(told['loss/max']).toBeGreaterThanOrEqual(told['loss/mean']!);
    const scalars = last!.state.find(({ path }) => path === 'model.safetensors')!;
    const file = await SafetensorsFile.open(join(last!.folder, scalars.path));
    expect(told.temperature).toBe(Math.exp((await file.readFloats('logit_scale', [1]))[0]!));
    expect(told.logitBias).toBe((await file.readFloats('logit_bias', [1]))[0]!);
    await file.close();
    expect(told['memory/resident']).toBeGreaterThan(2e8);
    expect(told['memory/peak']).toBeGreaterThanOrEqual(told['memory/resident']! * 0.5);
    expect(told.examplesPerSecond).toBeGreaterThan(0);
  }, 120_000);
});

describe('a kept choice', () => {
  it('holds the rows and the scores of the whole super-batch, and what they are of', async () => {
    const kept: KeptChoice = (await readKept(at(2).folder))!;
    expect(kept.picks).toHaveLength(batch);
    expect(kept.own).toHaveLength(candidates);
    expect(kept.of).toMatch(/^[0-9a-f]{64}$/);
    expect((await readKept(at(3).folder))!.of).not.toBe(kept.of);
  });
});
