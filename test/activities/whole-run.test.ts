import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../activities/evaluate.ts';
import { exportModel } from '../../activities/export-model.ts';
import { toFailure } from '../../activities/failures.ts';
import { hashOf, plan } from '../../activities/plan.ts';
import { planPhase } from '../../activities/plan-phase.ts';
import { sweep } from '../../activities/prune-checkpoints.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan, RunPlan } from '../../activities/types/plan.ts';
import { claimRun } from '../../src/checkpoint/claim.ts';
import { importModel } from '../../src/checkpoint/hugging-face/import-model.ts';
import type { MetricsDocument } from '../../src/checkpoint/metrics-document.ts';
import { pinsOf } from '../../src/checkpoint/pins.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { sheetSchema } from '../../src/evaluate/sheet/sheet.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess } from '../../src/trainer/process.ts';
import { tinyModel, tinyTensors, writeFolder } from '../checkpoint/hugging-face/tiny-folder.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { type Hands, hands } from './fixture.ts';

const smoke = () => JSON.parse(readFileSync(new URL('../../infra/recipes/smoke.json', import.meta.url), 'utf8'));
let server: TestServer;
let store: S3ObjectStore;
let on: Hands;

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  await drawnEmoji(store, { concepts: 12 });
});
afterAll(async () => {
  await on.close();
  await server.stop();
});
const planned = (run: string, recipe: unknown = smoke(), of: S3ObjectStore = store): Promise<RunPlan> =>
  plan(on.deps(of), { run, recipe }, on.attempt());
const read = async <T>(key: string) => JSON.parse((await store.get(key)).toString()) as T;

describe('plan', () => {
  it('keeps what the run needs in the bucket, and answers with references', async () => {
    const found = await planned('one');
    expect(found).toMatchObject({ run: 'one', examples: 60, corrupt: 0 });
    expect(JSON.stringify(found).length).toBeLessThan(2000);
    const [phase] = found.phases;
    expect(phase).toMatchObject({ phase: 'pretrain', batch: 32, shardSteps: 20, checkpointEvery: 10 });
    expect(phase!.to).toEqual({ step: 60, examples: 60 * 32 });
    const settings = await read<PhaseSettings>(phase!.settings.key);
    const { vocabulary } = settings.batches;
    expect(vocabulary!.slice(0, 3)).toEqual([0, 1, 3]);
    expect(settings.model.text.vocabulary).toBe(vocabulary!.length);
    expect(settings.schedule).toEqual({ total: 60 * 32, warmup: 6 * 32 });
    expect(sha256(await store.get(phase!.index.key))).toBe(phase!.index.sha256);
  });

  it('takes a phase by any name that the recipe may have', async () => {
    const recipe = smoke();
    const [first] = recipe.phases;
    recipe.phases = [{ ...first, name: 'constructor' }];
    const { phases } = await planned('named', recipe);
    expect(phases[0]).toMatchObject({ phase: 'constructor', origin: null, from: { step: 0, examples: 0 } });
  });

  it('gives each phase the tasks that are for it, and without the task whose figure is watched nothing watches', async () => {
    const recipe = smoke();
    const [first] = recipe.phases;
    recipe.phases = ['one', 'two', 'three'].map((name) => ({ ...first, name }));
    const task = (name: string) => ({
      ...{ version: 1, name, data: 'data/emoji/held-out', evaluators: { retrieval: {} } },
    });
    const best = { task: 'a', evaluator: 'retrieval', figure: 'mean.text_to_image.r1' };
    recipe.evaluate = { tasks: [task('a'), task('b')], only: { a: ['one'], b: ['one', 'two'] }, best };
    const { phases } = await planned('only', recipe);
    expect(phases.map(({ tasks }) => tasks?.documents.map(({ name }) => name))).toEqual([['a', 'b'], ['b'], undefined]);
    expect(phases.map(({ tasks }) => tasks?.best)).toEqual([best, undefined, undefined]);
    recipe.evaluate.only = { c: ['one'], a: ['four'] };
    await expect(planned('only-of-none', recipe)).rejects.toMatchObject({
      message: expect.stringMatching(
        /evaluate\.only\.c is of no task; allowed: a, b[\s\S]*evaluate\.only\.a has "four"; allowed: one, two, three/,
      ),
    });
  });

  it('made again gives the same, and another recipe under the name is refused', async () => {
    const first = await planned('twice');
    const { $schema: _, ...same } = smoke();
    expect(await planned('twice', same)).toEqual(first);
    await expect(planned('twice', { ...smoke(), seed: 2 })).rejects.toMatchObject({ code: 'RunNameTaken' });
  });

  it('that fails has not taken the name', async () => {
    const elsewhere = { ...smoke(), data: { train: 'data/nowhere' } };
    await expect(planned('free', elsewhere)).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringContaining('data/nowhere'),
    });
    expect((await planned('free')).run).toBe('free');
  });

  it('takes the model from the checkpoint that a phase goes on from, and refuses another before the name is taken', async () => {
    const folder = join(on.folder, 'tiny');
    await writeFolder(folder, tinyTensors());
    await importModel(store, folder, 'base', { scratch: on.folder, codeVersion: '0', attempt: 'a' });
    const { model: _, ...rest } = smoke();
    const phases = [{ name: 'tune', batch: 32, from: { run: 'base', phase: 'import' } }];
    const size = { width: 6, depth: 2, mlp: 5, heads: 2 };
    const other = { vision: { size, patch: 2, resolution: 4 }, text: { size: { ...size, width: 2 }, length: 4 } };
    await expect(planned('tuned', { ...rest, model: other, phases })).rejects.toMatchObject({
      code: 'RecipeInvalid',
      message: expect.stringMatching(
        /^The recipe has 4 problems:\n- model.vision.depth is 2, and base\/import@0, .* has 1; .*\n- model.text.depth is 2/,
      ),
    });
    const { phases: plans, parameters } = await planned('tuned', { ...rest, phases });
    expect((await read<PhaseSettings>(plans[0]!.settings.key)).model).toEqual(tinyModel);
    expect(plans[0]!.origin).toMatchObject({ checkpoint: { run: 'base', step: 0 } });
    expect(parameters).toBeGreaterThan(512_000);
  });

  it('lets a run go on that a release of before began with what is refused now, and says so', async () => {
    const recipe = { ...smoke(), evaluate: { languages: ['en', 'tlh'] } };
    const refused = /^evaluate.languages names "tlh", which no example below data\/emoji\/held-out\/ has; they have /;
    await expect(planned('older', recipe)).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringMatching(refused),
    });
    await claimRun(store, 'older', hashOf(parseRecipe(recipe)), recipe);
    const said: string[] = [];
    const log = { info() {}, warn: (_: object, message: string) => void said.push(message) };
    const found = await plan(on.deps(store, { log }), { run: 'older', recipe }, on.attempt());
    expect(found.evaluation).toMatchObject({ languages: ['en', 'tlh'] });
    expect(said).toContainEqual(
      expect.stringMatching(/^a release of before began this run: evaluate.languages names "tlh"/),
    );
  });

  it('refuses what does not fit the device of a worker that trains, with what would help', async () => {
    const small = { kind: 'gpu', bytes: 0.4e9 } as const;
    const large = { ...smoke(), phases: [{ name: 'pretrain', batch: 1024 }], schedule: { total: { steps: 60 } } };
    large.model.vision.resolution = 128;
    const refused = plan(on.deps(store, { memory: small }), { run: 'large', recipe: large }, on.attempt());
    await expect(refused).rejects.toThrow(/phase pretrain needs about .* the GPU has 0.4 GB; only a smaller model/);
    const fits = plan(
      on.deps(store, { memory: { ...small, bytes: 8e9 } }),
      { run: 'large', recipe: large },
      on.attempt(),
    );
    expect((await fits).run).toBe('large');
  });

  it('counts what can not be used, and says when lengths do not fit the data', async () => {
    for (const part of ['train', 'held-out'])
      for await (const { key } of store.list(`data/emoji/${part}/`))
        await store.copy(key, key.replace('emoji', 'worn'));
    let damaged = '';
    for await (const { key } of store.list('data/worn/train/')) damaged ||= key;
    const bytes = await store.get(damaged);
    // The first header loses its checksum: that member can't be told from noise.
    bytes.write('!', 0);
    await store.put(damaged, bytes);
    const data = { train: 'data/worn/train', evaluation: 'data/worn/held-out' };
    const found = await planned('worn', { ...smoke(), data });
    expect(found.corrupt).toBeGreaterThanOrEqual(1);
    expect(found.examples).toBeLessThan(60);
    const short = { ...smoke(), schedule: { total: { epochs: 0.1 }, warmup: { steps: 0 } } };
    await expect(planned('short', short)).rejects.toThrow(/\{"epochs":0.1\}; at least one step of 32 examples/);
  });

  it.each([
    ['a bucket that is not there', { bucket: 'no-such-bucket' }, 'BucketMissing', /no-such-bucket/],
    [
      'refused credentials',
      { credentials: { accessKeyId: 'AKIAWRONGWRONG12', secretAccessKey: 'wrong-secret-of-nobody' } },
      'CredentialsRefused',
      /NG12/,
    ],
  ])('names %s in one sentence, without the secret', async (_, change, code, message) => {
    const error = await planned('x', smoke(), server.store(change)).catch((failed) => toFailure(failed, 1));
    expect(error).toMatchObject({ type: code, nonRetryable: true, stack: '' });
    const text = (error as Error).message;
    expect(text).toMatch(message);
    expect(text).not.toMatch(/wrong-secret|\n/);
  });
});

/** A run of a schedule. */
const branched = 'branched-2026-11-26T12:44:47Z';

describe('a branch', () => {
  const recipe = () => ({
    ...smoke(),
    phases: [
      { name: 'pretrain', batch: 32, window: { to: { percent: 50 } } },
      {
        name: 'naflex',
        batch: 16,
        from: 'pretrain',
        window: { to: { percent: 60 } },
        vision: { naflex: { lengths: [4, 9], halveFrom: 9 } },
      },
      {
        name: 'finer',
        batch: 16,
        from: 'pretrain',
        window: { from: { percent: 25 }, to: { percent: 40 } },
        vision: { resolution: 24 },
      },
    ],
  });

  it('goes on from a checkpoint of its trunk, at another resolution or with images of any shape, the same again after a kill', async () => {
    const { phases } = await planned(branched, recipe());
    const [trunk, naflex, branch] = phases as [PhasePlan, PhasePlan, PhasePlan];
    expect(trunk.branches).toEqual([15, 30]);
    expect(branch).toMatchObject({ origin: { phase: 'pretrain' }, from: { step: 15, examples: 480 } });
    expect(branch.to).toEqual({ step: 33, examples: 480 + 18 * 16 });
    const env = { ...process.env, ...server.environment };
    const trainerNumber = (i: number) =>
      createTrainerProcess({ lockFile: join(on.folder, `real-${i}.lock`), log: { info() {}, warn() {} }, env });
    const trainers = [trainerNumber(0), trainerNumber(1)];
    let trainer = trainers[0]!;
    const of = (plan: PhasePlan, toStep: number, parent: CheckpointRef | null, from: CheckpointRef | null = null) =>
      trainShard(on.deps(store, { trainer }), { plan, revision: 0, parent, from, toStep }, on.attempt());
    const { checkpoint: parent } = await of(trunk, 15, null);
    const half = await of(branch, 20, parent);
    const end = await of(branch, 33, parent, half.checkpoint);
    expect(end.checkpoint).toMatchObject({ phase: 'finer', step: 33, examples: branch.to.examples });
    const header = await read<{ vision_config: object }>(`${end.checkpoint.prefix}config.json`);
    expect(header.vision_config).toMatchObject({ image_size: 24 });
    // A batch that is left out gives other bytes, under a revision of its own.
    const left = { plan: trunk, revision: 1, parent: null, skip: [3], from: null, toStep: 15 };
    const other = await trainShard(on.deps(store, { trainer }), left, on.attempt());
    expect(other.checkpoint).toMatchObject({ step: 15, examples: 480, revision: 1 });
    expect(other.checkpoint.sha256).not.toBe(parent.sha256);
    // Those that follow a batch beyond the end are what they were.
    const beyond = { ...left, revision: 2, skip: [15] };
    expect((await trainShard(on.deps(store, { trainer }), beyond, on.attempt())).checkpoint.sha256).toBe(parent.sha256);
    // Another process, and other cuts, give the same bytes; the batches of the branch are its own.
    const twin = await planned('branched-twin', recipe());
    const again = await of(twin.phases[0]!, 15, null);
    expect(again.checkpoint.sha256).toBe(parent.sha256);
    trainer = trainers[1]!;
    const whole = await of(twin.phases[2]!, 33, again.checkpoint);
    expect(whole.checkpoint.sha256).toBe(end.checkpoint.sha256);

    // Images of any shape: a model that transformers calls Siglip2Model, evaluated as it was trained.
    const { checkpoint: trained } = await of(trunk, 30, null, parent);
    const any = await of(naflex, naflex.to.step, trained);
    expect(any.checkpoint).toMatchObject({ phase: 'naflex', examples: 30 * 32 + 12 * 16 });
    expect(any.checkpoint.step).toBeGreaterThan(30 + 12);
    expect(await read(`${any.checkpoint.prefix}config.json`)).toMatchObject({ model_type: 'siglip2' });
    const evaluation = (await planned(branched, recipe())).evaluation!;
    const input = { plan: naflex, evaluation, checkpoint: any.checkpoint };
    const { key, report } = await evaluate(on.deps(store, { trainer }), input, on.attempt());
    const sheet = sheetSchema.parse(await read(key.replace('evaluation-', 'sheet-')));
    expect(sheet.looked).toMatchObject({ pictures: 12, view: expect.stringMatching(/^patches-/) });
    expect(sheet.maps).toHaveLength(8);
    expect(report).toMatchObject({ zero_shot: { classes: expect.any(Number) } });
    // A loss above the bound of the recipe has diverged, and says on which batch.
    const strict = await planned('strict', { ...smoke(), divergence: { maxLoss: 0.001 } });
    expect(strict.phases[0]).toMatchObject({ leaveOut: 3 });
    await expect(of(strict.phases[0]!, 10, null)).rejects.toMatchObject({
      code: 'NonFinite',
      details: { kind: 'lossAboveMax', step: 1, batch: 0 },
    });
    for (const one of trainers) await one.close();
  }, 120_000);

  it('is planned alone from the checkpoint that is there, and holds it until it has ended', async () => {
    const alone = (phase: string | undefined, run = branched) =>
      planPhase(on.deps(store), { run, recipe: recipe(), ...(phase && { phase }) }, on.attempt());
    const found = await alone('finer');
    const origin = (found.origin as { checkpoint: CheckpointRef }).checkpoint;
    expect(origin).toMatchObject({ run: branched, phase: 'pretrain', step: 15, revision: 2 });
    expect(found.settings).toEqual((await planned(branched, recipe())).phases[2]!.settings);
    const holders = async () => (await pinsOf(store, { run: branched, phase: 'pretrain' })).map(({ who }) => who);
    expect(await holders()).toEqual([`${branched}.finer`]);
    await sweep(on.deps(store), { run: branched, plan: found }, on.attempt());
    expect(await holders()).toEqual([]);
    await expect(alone('finest')).rejects.toThrow(
      /^phase is "finest"; allowed, of this recipe: pretrain, naflex, finer$/,
    );
    await expect(alone(undefined)).rejects.toThrow(/^phase is missing; allowed/);
    await expect(alone('naflex', 'unborn')).rejects.toThrow(
      /^phase naflex goes on from unborn\/pretrain@30, and bucket test has no such checkpoint; train phase pretrain first/,
    );
  });

  it('from a checkpoint of another run counts on from it, and a missing one is named before anything is spent', async () => {
    const later = (from: object) => ({
      ...smoke(),
      phases: [{ name: 'later', batch: 32, from, window: { from: { percent: 80 } } }],
    });
    const [phase] = (await planned('borrower', later({ run: branched, phase: 'pretrain', step: 30 }))).phases as [
      PhasePlan,
    ];
    expect(phase).toMatchObject({
      origin: { checkpoint: { run: branched, step: 30 } },
      from: { step: 30, examples: 960 },
    });
    expect(phase.to).toEqual({ step: 42, examples: 960 + 12 * 32 });
    const missing = planned('nobody', later({ run: branched, phase: 'pretrain', step: 14 }));
    await expect(missing).rejects.toThrow(
      /phase later goes on from branched-2026-11-26T12:44:47Z\/pretrain@14, and bucket test has no such/,
    );
  });
});

describe('after training', () => {
  it('the checkpoint is evaluated, and exported as a folder with the bytes that were committed', async () => {
    const run = await planned('finished');
    const phase = run.phases[0]!;
    const deps = on.deps(store);
    const { checkpoint } = await trainShard(
      deps,
      { plan: phase, revision: 0, parent: null, from: null, toStep: 10 },
      on.attempt(),
    );
    const evaluation = await evaluate(deps, { plan: phase, evaluation: run.evaluation!, checkpoint }, on.attempt());
    expect(evaluation.key).toMatch(/^runs\/finished\/pretrain\/evaluation-[0-9a-f]{16}\.json$/);
    expect(await read(evaluation.key)).toMatchObject({ checkpoint: { step: 10, sha256: checkpoint.sha256 } });
    const { checkpoint: _, ...told } = await read<Record<string, unknown>>(evaluation.key);
    const { evaluation: kept, evaluations } = await read<MetricsDocument>(`${checkpoint.prefix}metrics.json`);
    expect([kept, evaluations]).toEqual([{ key: evaluation.key, ...told }, []]);

    const input = { plan: phase, checkpoint, evaluation: null };
    const exported = await exportModel(deps, input, on.attempt());
    expect(exported.uri).toBe(`s3://test/runs/finished/export/pretrain-10/`);
    const model = await store.get(`${exported.prefix}model.safetensors`);
    expect(sha256(model)).toBe(exported.sha256);
    expect(model).toEqual(await store.get(`${checkpoint.prefix}model.safetensors`));
    const names: string[] = [];
    for await (const { key } of store.list(exported.prefix)) names.push(key.slice(exported.prefix.length));
    expect(names).toEqual(expect.arrayContaining(['README.md', 'config.json', 'tokenizer.json']));
    expect((await store.get(`${exported.prefix}README.md`)).toString()).toMatch(/CC-BY|Apache/);
    expect(await exportModel(deps, input, on.attempt())).toEqual(exported);
  });

  it('a damaged model is not exported', async () => {
    const phase = (await planned('spoilt')).phases[0]!;
    const deps = on.deps(store);
    const input = { plan: phase, revision: 0, parent: null, from: null, toStep: 10 };
    const { checkpoint } = await trainShard(deps, input, on.attempt());
    await store.put(`${checkpoint.prefix}model.safetensors`, 'something else');
    await expect(exportModel(deps, { plan: phase, checkpoint, evaluation: null }, on.attempt())).rejects.toMatchObject({
      code: 'CheckpointDamaged',
      details: { step: 10 },
    });
  });
});

describe('a failure', () => {
  it('keeps its sentence and code; only what may pass is tried again', () => {
    const of = (error: unknown, attempt = 1) => toFailure(error, attempt) as Error & { nonRetryable: boolean };
    expect(of(new RunnerError('StorageUnavailable', 'away'))).toMatchObject({ message: 'away', nonRetryable: false });
    expect(of(new RunnerError('DiskFull', 'full'))).toMatchObject({ type: 'DiskFull', nonRetryable: true });
    const bug = new TypeError('x is not a function\n    at somewhere');
    expect(of(bug)).toMatchObject({
      message: 'TypeError: x is not a function',
      type: 'Unexpected',
      nonRetryable: false,
    });
    expect(of(bug, 5)).toMatchObject({ nonRetryable: true, stack: '' });
  });
});
