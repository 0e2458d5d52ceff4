import { mkdir } from 'node:fs/promises';
import { findCommits, readCommit } from '../src/checkpoint/commits.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { commitKey } from '../src/checkpoint/keys.ts';
import { holdWatched, keepWatched, readWatched } from '../src/checkpoint/watched.ts';
import {
  evaluationsWithout,
  figuresBefore,
  highest,
  lastThatRose,
  type WatchedFigure,
} from '../src/evaluate/early-stopping.ts';
import type { Outcome } from '../src/evaluate/evaluators/contract.ts';
import { outcomesIn } from '../src/evaluate/evaluators/outcomes.ts';
import { samePictures } from '../src/evaluate/explain.ts';
import { differencesOf } from '../src/evaluate/intervals.ts';
import { type FigureDocument, flatFigures, resultIn } from '../src/evaluate/result.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import type { BestInput, Watched, WatchInput } from './types/phase-end.ts';
import type { PhasePlan } from './types/plan.ts';
import type { ShardResult } from './types/shard.ts';

/**
 * Says how long the figure that may end a phase has not risen, this evaluation included. What it goes by lies in the bucket,
 * so that a phase whose history was reset, or that is started again, ends where it would have. Doing it again changes nothing.
 */
export async function watchFigure(
  { store, scratch, log }: Dependencies,
  { plan, checkpoint, key }: WatchInput,
  attempt: Attempt,
): Promise<Watched> {
  const { figure, best, every, earlyStopping } = stoppingOf(plan);
  const heart = beat(attempt);
  try {
    const own = await figuresAt(store, key, best.evaluator);
    const { revision, step, sha256 } = checkpoint;
    const known = await readWatched(store, plan, figure);
    // Started again at a checkpoint between two evaluations, it is not one more of these.
    const turn = (at: number) => Math.floor(at / every);
    const there = known.find((one) => one.revision === revision && turn(one.step) === turn(step) && one.step <= step);
    const before = figuresBefore(known, there ?? checkpoint);
    const judged = async (): Promise<WatchedFigure> => {
      const value = valueIn(own.document, best.figure);
      const reference = lastThatRose(before);
      const higher = !reference || value - reference.value > earlyStopping.threshold;
      const rose =
        higher && (!reference || (await isBeyondInterval(store, scratch, reference, own.document, best.figure)));
      return { revision, step, sha256, value, rose, figures: own.key };
    };
    const latest = there ?? (await judged());
    const all = [...before, latest];
    // Gone back behind what was held, an older one that was higher may be pruned: it can't be ended with.
    const standing = earlyStopping.restoreBest ? await thereOf(store, plan, all) : [];
    const top = highest(standing.length > 0 ? standing : all);
    // Held before it is said to be the best; what is trained now can't have been pruned.
    if (standing.length > 0) await holdWatched(store, { ...keyOf(plan), ...top });
    if (!there) await keepWatched(store, plan, figure, all);
    const without = evaluationsWithout(all);
    log.info({ run: plan.run, phase: plan.phase, step, value: latest.value, without }, 'looked whether it still rises');
    const told = { step: latest.step, value: latest.value, best: { step: top.step, value: top.value } };
    return { figure, ...told, without, patience: earlyStopping.patience };
  } finally {
    heart.stop();
  }
}

/**
 * What a phase hands on that is to end with its best; null where none that is there was evaluated. What was given up on the way to
 * the checkpoint that it stands at does not count.
 */
export async function bestWatched(
  { store }: Dependencies,
  { plan, checkpoint }: BestInput,
  attempt: Attempt,
): Promise<ShardResult | null> {
  const heart = beat(attempt);
  try {
    const known = await readWatched(store, plan, stoppingOf(plan).figure);
    const own = checkpoint ? figuresBefore(known, { ...checkpoint, step: checkpoint.step + 1 }) : known;
    const figures = await thereOf(store, plan, own);
    if (figures.length === 0) return null;
    const commit = await readCommit(store, { ...keyOf(plan), ...highest(figures) });
    const { figures: _, since: __, ...metrics } = commit.metrics;
    return { checkpoint: toRef(commit), metrics, committed: commit.committed, attempt: commit.attempt };
  } finally {
    heart.stop();
  }
}

const keyOf = ({ run, phase }: PhasePlan) => ({ run, phase });

/** Those whose checkpoints were not deleted since. */
async function thereOf(store: ObjectStore, plan: PhasePlan, figures: readonly WatchedFigure[]) {
  const there = new Set((await findCommits(store, keyOf(plan))).map(commitKey));
  return figures.filter(({ revision, step }) => there.has(commitKey({ ...keyOf(plan), revision, step })));
}

function stoppingOf({ tasks }: PhasePlan) {
  const { best, earlyStopping, every } = tasks ?? {};
  if (!best || !earlyStopping || !every) throw new Error('the plan has no early stopping');
  return { best, earlyStopping, every, figure: `${best.task} ${best.evaluator} ${best.figure}` };
}

/** The figures of an evaluator at the largest view. */
export async function figuresAt(store: ObjectStore, key: string, evaluator: string) {
  const result = resultIn(JSON.parse((await store.get(key)).toString('utf8')));
  const document = result?.figures.filter((one) => one.evaluator === evaluator).at(-1);
  if (!document) throw new RunnerError('DataContract', `${key} has no figures of ${evaluator}`);
  return { document, key: document.outcomes.key.replace(/\.safetensors$/, '.json') };
}

/** @param field of the recipe that names it */
export function valueIn({ figures, evaluator }: FigureDocument, name: string, field = 'evaluate.best'): number {
  const value = flatFigures(figures).find(([one]) => one === name)?.[1];
  if (value !== undefined) return value;
  throw new RunnerError('DataContract', `${field}: there is no figure ${evaluator} ${name}`);
}

/** On the same pictures; a figure of which nothing came of single examples has no interval to be beyond. */
async function isBeyondInterval(
  store: ObjectStore,
  scratch: string,
  reference: WatchedFigure,
  now: FigureDocument,
  name: string,
): Promise<boolean> {
  const before = JSON.parse((await store.get(reference.figures)).toString('utf8')) as FigureDocument;
  if (!samePictures(before, now)) return true;
  const [a, b] = [await outcomesOf(store, scratch, before), await outcomesOf(store, scratch, now)];
  return (differencesOf(a, b, (one) => one === name)[name]?.low ?? Number.POSITIVE_INFINITY) > 0;
}

async function outcomesOf(
  store: ObjectStore,
  scratch: string,
  { outcomes }: FigureDocument,
): Promise<Record<string, Outcome>> {
  await mkdir(scratch, { recursive: true });
  return outcomesIn(await store.get(outcomes.key), scratch);
}
