import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pRetry from 'p-retry';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Dependencies } from '../../activities/dependencies.ts';
import { fetchDocument, keepDocument } from '../../activities/documents.ts';
import { scoreShard } from '../../activities/score-shard.ts';
import { scoresKey } from '../../activities/scores.ts';
import { sealScores } from '../../activities/seal-scores.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { ScoreShardInput, ScoreShardResult, Scoring } from '../../activities/types/scoring.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { scoresPrefix } from '../../src/checkpoint/keys.ts';
import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import { listRuns } from '../../src/commands/list-runs.ts';
import { remove } from '../../src/commands/remove.ts';
import { BatchMaker } from '../../src/data/batches/batch-maker.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { mixedIndex } from '../../src/data/index/mixed-index.ts';
import type { ScoreIndex } from '../../src/data/index/score-index.ts';
import { ShardCache } from '../../src/data/index/shard-cache.ts';
import type { DataIndex } from '../../src/data/index/types.ts';
import type { BatchPlan } from '../../src/recipe/batch-plan.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { foreign, readSchema } from '../../src/recipe/reading.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import type { MeasureJob, StepTime } from '../../src/trainer/protocol.ts';
import { img2dataset } from '../data/img2dataset.ts';
import { languages, type TaughtData, taughtData } from '../scoring/teacher.ts';
import { tinySettings } from '../train/settings.ts';
import { type Hands, hands, planOf as phasePlanOf } from './fixture.ts';

// A real teacher in a real checkpoint, real trainer processes, a real S3 server.
let data: TaughtData;
let on: Hands;
const trainers: TrainerProcess[] = [];
const lockFile = (i: number) => join(data.folder, `device-${i}.lock`);
let teacher: Scoring['teacher'];
/** What an undisturbed scoring gives. */
let expected: ScoreShardResult[];
let bytes: Buffer[];

beforeAll(async () => {
  data = await taughtData();
  on = hands();
  for (const i of [0, 1])
    trainers.push(createTrainerProcess({ lockFile: lockFile(i), log: { info() {}, warn() {} }, env: data.env }));
  const { ref } = await commitCheckpoint(data.store, {
    ...{ run: 'first', phase: 'curated', revision: 0, step: 40, examples: 400, attempt: 'a' },
    ...{ folder: data.folder, state: data.state, sidecars: [], parent: null, skipped: [] },
    ...{ recipeHash: 'r', codeVersion: 't', dataFingerprint: data.index.fingerprint, inputHash: sha256('inputs') },
    metrics: { loss: 1, examplesPerSecond: 1, dataWaitShare: 0 },
  });
  teacher = { checkpoint: ref, model: data.model };
  const of = await scoring('alone');
  expected = [await score(of, 0), await score(of, 1)];
  bytes = await Promise.all([0, 1].map((shard) => data.store.get(scoresKey(of, shard))));
}, 120_000);
afterAll(async () => {
  for (const trainer of trainers) await trainer.close();
  await on.close();
  await data.stop();
});

async function scoring(run: string): Promise<Scoring> {
  const { batches, ...settings } = tinySettings;
  const own = { ...settings, batches: { ...batches, vocabulary: data.vocabulary } };
  const plan = {
    run,
    phase: 'acid',
    settings: await keepDocument(data.store, run, 'settings', own),
    index: await keepDocument(data.store, run, 'index', data.index.document),
  };
  return { plan, teacher, languages: ['en', 'de', 'tlh'], dtype: 'f32' };
}

/** On worker `i`, with a scratch of its own. */
const deps = (i: number, changes: Partial<Dependencies> = {}) =>
  on.deps(data.store, { scratch: join(on.folder, `scratch-${i}`), trainer: trainers[i]!, ...changes });
const score = (of: Scoring, shard: number, i = 0, changes: Partial<Dependencies> = {}) =>
  scoreShard(deps(i, changes), { ...of, shard } satisfies ScoreShardInput, on.attempt());
/** As a workflow has it scored: once more when the trainer is lost. That one died may be seen only by the next job. */
const again = (of: Scoring, shard: number, i: number) =>
  pRetry(() => score(of, shard, i), { retries: 2, minTimeout: 50, shouldRetry: ({ error }) => isRetryable(error) });
const isRetryable = (error: Error) => isRunnerError(error, 'TrainerCrashed') && error.retryable;
const keysOf = async (run: string) => {
  const keys: string[] = [];
  for await (const { key } of data.store.list(scoresPrefix({ run, phase: 'acid' }))) keys.push(key);
  return keys;
};

describe('a shard that is scored', () => {
  it('lies whole at a key that teacher, settings and data give', async () => {
    const of = await scoring('alone');
    for (const [shard, { etag }] of expected.entries()) {
      const key = scoresKey(of, shard);
      expect(key).toMatch(new RegExp(`^runs/alone/acid/scores/[0-9a-f]{16}/0000000${shard}\\.safetensors$`));
      expect(await data.store.head(key)).toMatchObject({ etag, bytes: bytes[shard]!.length });
    }
    expect(expected.map(({ corrupt }) => corrupt)).toEqual([4, 0]);
    const keys = [
      scoresKey(of, 0),
      scoresKey({ ...of, dtype: 'bf16' }, 0),
      scoresKey({ ...of, languages: ['en'] }, 0),
      scoresKey({ ...of, teacher: { ...teacher, checkpoint: { ...teacher.checkpoint, sha256: sha256('x') } } }, 0),
      scoresKey(
        { ...of, teacher: { ...teacher, model: { ...data.model, vision: { ...data.model.vision, resolution: 32 } } } },
        0,
      ),
      scoresKey({ ...of, plan: { ...of.plan, index: { ...of.plan.index, sha256: sha256('y') } } }, 0),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    expect(scoresKey({ ...of, languages: ['tlh', 'de', 'en', 'de'] }, 0)).toBe(keys[0]);
  });

  it('is not scored again, and needs no device then', async () => {
    const { trainer: _, ...none } = deps(0);
    const attempt = on.attempt();
    expect(await scoreShard(none, { ...(await scoring('alone')), shard: 0 }, attempt)).toEqual(expected[0]);
    await expect(scoreShard(none, { ...(await scoring('elsewhere')), shard: 0 }, attempt)).rejects.toMatchObject({
      code: 'DeviceMissing',
    });
  });

  it.each(['scored', 'stored'] as const)(
    'when its worker dies after it was %s, is there in the same bytes',
    async (at) => {
      const of = await scoring(`dies-${at}`);
      const onPoint = (point: string) => {
        if (point === at) throw new Error('died');
      };
      await expect(score(of, 1, 0, { onPoint })).rejects.toThrow('died');
      expect(await keysOf(of.plan.run)).toHaveLength(at === 'stored' ? 1 : 0);
      expect(await score(of, 1, 1)).toEqual(expected[1]);
      expect(bytes[1]!.equals(await data.store.get(scoresKey(of, 1)))).toBe(true);
    },
  );

  it('by two workers at once counts once', async () => {
    const of = await scoring('raced');
    const [both, uploads] = [new Set<number>(), [] as string[]];
    const meet = (i: number) => async (point: string) => {
      if (point === 'stored') uploads.push(`${i}`);
      if (point !== 'scored') return;
      both.add(i);
      while (both.size < 2) await delay(10);
    };
    const results = await Promise.all([0, 1].map((i) => score(of, 1, i, { onPoint: meet(i) })));
    expect(results).toEqual([expected[1], expected[1]]);
    expect(uploads).toHaveLength(1);
    expect(await keysOf('raced')).toEqual([scoresKey(of, 1)]);
  });

  it('by two attempts of one worker at once fetches the teacher once and counts once', async () => {
    const of = await scoring('twice');
    await rm(join(on.folder, 'scratch-0'), { recursive: true, force: true });
    const store = data.server.store();
    const get = vi.spyOn(store, 'get');
    const results = await Promise.all([0, 1].map(() => score(of, 1, 0, { store })));
    expect(results).toEqual([expected[1], expected[1]]);
    const size = data.state.find(({ path }) => path === 'model.safetensors')!.bytes;
    const requests = get.mock.calls.filter(([key]) => key === `${teacher.checkpoint.prefix}model.safetensors`);
    expect(requests).toHaveLength(Math.ceil(size / (8 * 1024 ** 2)));
    expect(await readdir(join(on.folder, 'scratch-0', 'teachers'))).toEqual([teacher.checkpoint.sha256]);
  });

  it('ends with the same bytes when the trainer is killed at any moment', async () => {
    const undisturbed = await scoring('undisturbed');
    await score(undisturbed, 1, 1);
    const begun = performance.now();
    await score(undisturbed, 0, 1);
    const lasts = performance.now() - begun;
    let kills = 0;
    for (const share of [0.05, 0.4, 0.8]) {
      const of = await scoring(`killed-${share}`);
      // Warm, so that the moment of the kill lies within the scoring.
      await again(of, 1, 1);
      const running = score(of, 0, 1).then(
        () => null,
        (error) => error,
      );
      await delay(share * lasts);
      process.kill(JSON.parse(readFileSync(`${lockFile(1)}.trainer`, 'utf8')).pid, 'SIGKILL');
      const error = await running;
      if (error !== null) {
        expect(error).toMatchObject({ code: 'TrainerCrashed', retryable: true });
        expect(await keysOf(of.plan.run)).toEqual([scoresKey(of, 1)]);
        kills++;
      }
      expect(await again(of, 0, 1)).toEqual(expected[0]);
      expect(bytes[0]!.equals(await data.store.get(scoresKey(of, 0)))).toBe(true);
    }
    expect(kills).toBeGreaterThan(0);
  }, 120_000);

  it('that is cancelled just ends, and leaves nothing', async () => {
    const of = await scoring('cancelled');
    const stop = new AbortController();
    const attempt = on.attempt({ signal: stop.signal });
    const [trainer] = trainers as [TrainerProcess];
    const run: TrainerProcess['run'] = (...job) => {
      const result = trainer.run(...job);
      // The job is with the trainer, or on its way there.
      setImmediate(() => stop.abort());
      return result;
    };
    const running = scoreShard(deps(0, { trainer: { ...trainer, run } }), { ...of, shard: 0 }, attempt);
    await expect(running).rejects.toThrow(/^stopped|aborted/);
    expect(await keysOf('cancelled')).toEqual([]);
    expect(existsSync(join(on.folder, 'scratch-0', 'cancelled', 'acid', attempt.id))).toBe(false);
    expect(await score(of, 0)).toEqual(expected[0]);
  });

  it('by a teacher whose checkpoint is damaged is refused, with the object that is wrong', async () => {
    const of = await scoring('badly-taught');
    const prefix = 'runs/first/curated/r0/step-00000041-b/';
    const damaged = { ...teacher.checkpoint, step: 41, prefix };
    await expect(
      score({ ...of, teacher: { ...teacher, checkpoint: { ...damaged, sha256: sha256('other') } } }, 0),
    ).rejects.toMatchObject({ code: 'DataContract' });
  });
});

describe('scores in the bucket', () => {
  it('are known to the sweep, listed, and go with the phase', async () => {
    const of = await scoring('kept');
    await score(of, 1);
    await sweepRun(data.store, 'kept', { graceMs: 0 });
    expect(await findUnreferenced(data.store, 'kept')).toEqual([]);
    const stray = scoresKey(of, 1).replace('.safetensors', '.part');
    await data.store.put(stray, 'x');
    expect(await findUnreferenced(data.store, 'kept')).toEqual([stray]);
    await data.store.delete(stray);
    const lines: string[] = [];
    for await (const line of remove(data.store, 'kept/acid', { run: 'kept', phase: 'acid' }, false)) lines.push(line);
    expect(lines[0]).toBe('runs/kept/acid/scores/  1 file of stored scores');
    expect(await keysOf('kept')).toHaveLength(1);
    for await (const _ of remove(data.store, 'kept/acid', { run: 'kept', phase: 'acid' }, true));
    expect(await keysOf('kept')).toEqual([]);
  });

  it('are a line of ls', async () => {
    const first = { ...(await scoring('first')) };
    await score(first, 1);
    const lines: string[] = [];
    for await (const line of listRuns(data.store, 'first')) lines.push(line);
    expect(lines[0]).toMatch(/^first\/curated@40 /);
    expect(lines[1]).toMatch(/^first\/acid scores [0-9a-f]{16} +1 file, 0\.\d MB$/);
  });

  it('that were damaged are told as such when they are scored again', async () => {
    const of = await scoring('damaged');
    const wrong = Buffer.from(bytes[1]!);
    wrong.writeUInt8(wrong.at(-1)! ^ 1, wrong.length - 1);
    await data.store.put(scoresKey(of, 1), wrong);
    await expect(score(of, 1)).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringMatching(/0001\.safetensors are damaged: .*; delete it, and it is made again$/),
    });
    await data.store.delete(scoresKey(of, 1));
    expect(await score(of, 1)).toEqual(expected[1]);
  });
});

const planOf = async (
  run: string,
  stored = true,
  change: object = {},
  index: DataIndex = data.index,
  settled?: BatchPlan['data'],
): Promise<PhasePlan> => {
  const { plan, languages, dtype } = await scoring(run);
  const { batches, ...settings } = tinySettings;
  const curation = { chunks: 2, scores: 'learnability', joint: true, scoring: 'stored', dtype, ...change };
  const own = {
    ...settings,
    curation,
    batches: { ...batches, candidates: 12, vocabulary: data.vocabulary, ...(settled && { data: settled }) },
  };
  return {
    ...(await phasePlanOf(data.store, run)),
    phase: 'acid',
    index: index === data.index ? plan.index : await keepDocument(data.store, run, 'index', index.document),
    settings: await keepDocument(data.store, run, 'acid-settings', own),
    curation: {
      ...{ teacher: { phase: 'curated' }, model: data.model, stored, languages, dtype },
      ...{ shards: 2, sealed: null },
    },
  };
};
const seal = (plan: PhasePlan, i = 0) => sealScores(deps(i), { plan, teacher: teacher.checkpoint }, on.attempt());
const settingsOf = async ({ settings }: PhasePlan) =>
  JSON.parse((await data.store.get(settings.key)).toString()) as PhaseSettings;

describe('sealing', () => {
  it('makes one document of all shards and names it in the settings, the same again', async () => {
    const of = await scoring('alone');
    const plan = await planOf('alone');
    const sealed = await seal(plan);
    expect(sealed.curation!.sealed).toEqual(teacher.checkpoint);
    const settings = await settingsOf(sealed);
    const { scores: document, width } = settings.batches.parts!.teacherScores!;
    expect(width).toBe(16);
    expect(document.key).toMatch(/^runs\/alone\/data\/acid-scores-[0-9a-f]{16}\.json$/);
    const scores = JSON.parse((await data.store.get(document.key)).toString()) as ScoreIndex;
    expect(scores).toMatchObject({
      teacher: { run: 'first', phase: 'curated', revision: 0, step: 40, sha256: teacher.checkpoint.sha256 },
      ...{ width: 16, dtype: 'f32', languages, dataFingerprint: data.index.fingerprint },
    });
    const file = await SafetensorsFile.open(join(data.folder, 'model.safetensors'));
    const logitScale = (await file.readFloats('logit_scale'))[0]!;
    const logitBias = (await file.readFloats('logit_bias'))[0]!;
    await file.close();
    expect(scores).toMatchObject({ logitScale, logitBias });
    expect(settings.curation!.teacher).toEqual({
      ...{ sha256: teacher.checkpoint.sha256, model: data.model, logitScale, logitBias },
    });
    expect(scores.shards.map(({ key, etag, corrupt }) => ({ key, etag, corrupt }))).toEqual([
      { key: scoresKey(of, 0), etag: expected[0]!.etag, corrupt: data.corrupt },
      { key: scoresKey(of, 1), etag: expected[1]!.etag, corrupt: [] },
    ]);
    expect(await seal(plan, 1)).toEqual(sealed);
    // What is sealed may be sealed again, after a look at what is there.
    expect(await seal(sealed)).toEqual(sealed);
  });

  it('is enough to measure a step, with the choice that belongs to it', async () => {
    const sealed = await seal(await planOf('alone'));
    const settings = await settingsOf(sealed);
    const documents = join(on.folder, 'documents');
    const indexFile = await fetchDocument(data.store, sealed.index, documents);
    const scoresFile = await fetchDocument(data.store, settings.batches.parts!.teacherScores!.scores, documents);
    const of = {
      ...settings,
      model: { ...settings.model, text: { ...settings.model.text, vocabulary: data.vocabulary.length } },
    };
    for (const overlap of [false, true]) {
      const curation = { ...of.curation!, overlap };
      const job: MeasureJob = { kind: 'measure', settings: { ...of, curation }, indexFile, scoresFile, skip: [] };
      const time = (await trainers[0]!.run(job)) as StepTime;
      expect(time.ms).toBeGreaterThan(0);
    }
  });

  it('refuses when a shard has no scores, and says how they are made', async () => {
    const of = await scoring('partly');
    await data.store.put(scoresKey(of, 0), bytes[0]!);
    await expect(seal(await planOf('partly'))).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringMatching(/00000001\.safetensors is missing, .*; retryPhase has it scored again$/),
    });
  });

  it('of a teacher that scores beside the learner reads its scale and bias alone', async () => {
    const sealed = await seal(await planOf('beside', false, { scoring: 'online' }));
    const { curation, batches } = await settingsOf(sealed);
    const file = await SafetensorsFile.open(join(data.folder, 'model.safetensors'));
    expect(curation!.teacher!.logitScale).toBe((await file.readFloats('logit_scale'))[0]);
    await file.close();
    expect(batches.parts).toEqual(
      data.model.vision.resolution === 8 ? undefined : { teacherView: { resolution: data.model.vision.resolution } },
    );
    expect(await keysOf('beside')).toEqual([]);
  });

  it('refuses files of two teachers', async () => {
    const of = await scoring('mixed');
    const put = async (shard: number, text: (header: string) => string) => {
      const whole = Buffer.from(text(bytes[shard]!.toString('latin1')), 'latin1');
      await data.store.put(scoresKey(of, shard), whole);
    };
    await put(0, (header) => header);
    await put(1, (header) => header.replace('"logit_bias":"-2.', '"logit_bias":"-3.'));
    await expect(seal(await planOf('mixed'))).rejects.toThrow(
      /00000001\.safetensors are damaged: the file says another logit_scale or logit_bias than .*00000000/,
    );
  });
});

describe('a mixture that is scored', () => {
  it('has scores of each source in its own languages and reading, which its batches read', async () => {
    const read = readSchema.parse({ captions: 'txt', draw: 'first' });
    // Words that the table of the phase has.
    const entries = await data.index.entriesOf(1);
    const labels = [0, 1, 2, 3].map(async (i) => {
      const { offset, size } = entries.at(i).meta;
      const meta = JSON.parse((await data.store.get(data.index.shards[1]!.key, { offset, size })).toString());
      return meta.captions.en[0] as string;
    });
    const [first, ...rest] = await Promise.all(labels);
    await data.store.put('data/web/0.tar', await img2dataset([first!, null, ...rest]));
    const web = await indexData(data.store, 'data/web', foreign(read));
    const index = mixedIndex([
      { name: 'emoji', index: data.index },
      { name: 'web', index: web },
    ]);
    const [en, de] = ['en', 'de'].map((language) => ({ language, weight: 1 }));
    const mixture = [
      { name: 'emoji', train: 'data/emoji/train', weight: 1, languages: [en!, de!] },
      { name: 'web', train: 'data/web', weight: 1, read, captions: [en!] },
    ];
    const settings: BatchPlan['data'] = {
      ...{ train: [], captions: [en!], labelShare: 1, augment: { scale: [1, 1], shift: 0 }, mixture },
    };
    const plan = await planOf('mixture', true, {}, index, settings);
    const sourceLanguages = [['en', 'de'], ['en']];
    const curation = { ...plan.curation!, languages: ['en', 'de'], sourceLanguages, shards: 3 };
    const of: Scoring = { plan, teacher, languages: ['en', 'de'], sourceLanguages, dtype: 'f32' };
    for (const shard of [0, 1, 2]) await score(of, shard);
    const sealed = await seal({ ...plan, curation });
    const { batches } = await settingsOf(sealed);
    const { scores: document, width } = batches.parts!.teacherScores!;
    const scores = JSON.parse((await data.store.get(document.key)).toString()) as ScoreIndex;
    expect(scores.shards.map(({ languages, examples }) => [languages, examples])).toEqual([
      [['de', 'en'], data.index.shards[0]!.examples],
      [['de', 'en'], data.index.shards[1]!.examples],
      [['en'], 4],
    ]);
    // Pictures, German and English come before the language that nobody speaks, in the same bytes as by themselves.
    for (const i of [0, 1]) {
      const { key, offset, bytes: size } = scores.shards[i]!;
      const rows = (await data.store.get(key)).subarray(offset);
      const header = 8 + Number(bytes[i]!.readBigUInt64LE(0));
      expect(rows.equals(bytes[i]!.subarray(header, header + size - offset))).toBe(true);
    }
    const cache = new ShardCache(data.store, join(on.folder, 'mixture'));
    const { candidates: _, ...squares } = batches;
    const maker = new BatchMaker(index, { ...squares, batch: 40, textLength: 12 }, cache, scores);
    const { parts, drawn, skipped } = await maker.make(0);
    for (const count of [drawn!.sources.emoji!, drawn!.sources.web!, drawn!.languages.de! + 5])
      expect(count).toBeGreaterThan(10);
    expect(skipped.every(({ shard }) => shard === 'data/web/0.tar' || shard === data.index.shards[0]!.key)).toBe(true);
    for (const name of ['teacherImages', 'teacherTexts'])
      for (let row = 0; row < 40; row++) {
        const own = (parts[name] as Float32Array).subarray(row * width, (row + 1) * width);
        expect(Math.hypot(...own)).toBeCloseTo(1, 4);
      }
    cache.close();
  });
});
