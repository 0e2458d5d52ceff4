import { afterAll, beforeAll, expect, it } from 'vitest';
import { findCommits } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { EvaluationDocument } from '../../src/evaluate/result.ts';
import type { RunStatus } from '../../workflows/messages.ts';
import { type Site, startSite, tinyRecipe, until } from '../faults/harness.ts';
import { verifyCommits } from '../faults/verify.ts';

// Real training all through: a model that knows some of the emoji, and fine-tuning that makes it forget them.
const patience = 600_000;
/** Steps of the model that is gone on from, which steps are counted on from, and those of fine-tuning. */
const [first, more, every, fall] = [600, 60, 5, 0.1];
let site: Site;

const task = {
  ...{ version: 1, name: 'reference', data: 'data/emoji/train', languages: ['en'], resize: 'antialias' },
  evaluators: { zeroShot: {} },
};
const schedule = (steps: number) => ({ total: { steps }, warmup: { steps: 2 } });

beforeAll(async () => {
  site = await startSite();
  const base = await site.start('base', tinyRecipe({ schedule: schedule(first) }));
  await base.result();
}, patience);
afterAll(() => site?.stop(), patience);

/** On another style alone, guarded by what was known of the first five. */
const tuned = (learningRate: number, action?: 'end') => {
  const { model: _, ...recipe } = tinyRecipe({
    ...{ schedule: schedule(more), optimizer: { learningRate } },
    data: { train: 'data/emoji/held-out' },
    phases: [{ name: 'finetune', batch: 32, from: { run: 'base', phase: 'pretrain' } }],
    checkpoint: { every: { steps: every }, shard: { steps: every } },
    evaluate: {
      ...{ tasks: [task], every: { steps: every } },
      guard: { task: task.name, evaluator: 'zeroShot', figure: 'by_language.en.top1', fall, ...(action && { action }) },
    },
  }) as Record<string, unknown>;
  return recipe;
};

/** The figure that the bucket has of a checkpoint. */
async function known(run: string, phase: string, step: number): Promise<number> {
  for await (const { key } of site.store.list('evaluations/')) {
    if (!key.endsWith('/result.json')) continue;
    const { model, figures } = JSON.parse((await site.store.get(key)).toString()) as EvaluationDocument;
    if (model.name !== `${run}/${phase}@${step}`) continue;
    return (figures[0]!.figures.by_language as Record<string, { top1: number }>).en!.top1;
  }
  throw new Error(`${run}/${phase}@${step} was not evaluated`);
}

const notes = async (run: Awaited<ReturnType<Site['start']>>) =>
  (await run.query<Record<string, { what: string }[]>>('history')).finetune!.map(({ what }) => what);
const shown = (value: number) => String(Number(value.toPrecision(4)));

it(
  'ends fine-tuning at a rate that destroys, with the checkpoint at which the fall was seen',
  async () => {
    const run = await site.start('ends', tuned(0.01, 'end'));
    const { phases } = await run.result();
    const { step } = phases[0]!.checkpoint;
    expect(step).toBeLessThan(first + more);
    const before = await known('base', 'pretrain', first);
    const now = await known('ends', 'finetune', step);
    expect(before - now).toBeGreaterThan(fall);
    // No step before it had fallen as far.
    for (let earlier = first + every; earlier < step; earlier += every)
      expect(before - (await known('ends', 'finetune', earlier))).toBeLessThanOrEqual(fall);
    expect(await notes(run)).toContain(
      `ends at step ${step}, not ${first + more}: reference zeroShot by_language.en.top1 fell from ${shown(before)} to ${shown(now)} at step ${step}, and a fall of ${fall} is allowed`,
    );
    const newest = (await findCommits(site.store, { run: 'ends' })).map((at) => at.step);
    expect(Math.max(...newest)).toBe(step);
    expect((await readManifest(site.store, phases[0]!.checkpoint)).manifest.step).toBe(step);
    await verifyCommits(site.store, 'ends');
  },
  patience,
);

it(
  'waits for a person where nothing else was said, and goes on from there when told to',
  async () => {
    const run = await site.start('waits', tuned(0.01));
    const state = () => run.query<RunStatus>('status');
    await until(async () => (await state()).state === 'waiting');
    const { failure, step } = (await state()).phases[0]!;
    const [before, now] = [await known('base', 'pretrain', first), await known('waits', 'finetune', step)];
    expect(before - now).toBeGreaterThan(fall);
    expect(failure).toContain(`fell from ${shown(before)} to ${shown(now)} at step ${step}`);
    await run.executeUpdate('retryPhase', { args: [{ learningRate: 1e-9 }] });
    await until(async () => (await state()).state === 'waiting' && (await state()).phases[0]!.step > step);
    // So small a rate changes nothing: what was forgotten stays so, and the next look says it again.
    expect((await state()).phases[0]!.failure).toContain(`at step ${step + every}, and a fall of ${fall} is allowed`);
    await run.terminate();
  },
  patience,
);
