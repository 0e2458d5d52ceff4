import { ContinueAsNew, continueAsNew, defineQuery, isCancellation, patched, setHandler } from '@temporalio/workflow';
import type { EvaluationInput, FeatureSetName, PlannedEvaluation, TaskResult } from '../activities/types/evaluation.ts';
import { addUsed, nothingUsed, type Used } from '../src/costs/used.ts';
import { activitiesBy, showLog } from './activities-by.ts';
import { clearFailure, invalid } from './failures.ts';
import { evaluateOptions, fewTries, lightOptions, scoresAtOnce, scoresOfOneHistory, tidyOptions } from './policies.ts';
import type { EvaluationStatus } from './results.ts';

const { planEvaluation, keepBest, concludeEvaluation } = activitiesBy(lightOptions);
const { leaveEvaluation } = activitiesBy(tidyOptions);
// Pictures are for people: figures don't wait for them without end.
const { drawSheet } = activitiesBy({ ...evaluateOptions, ...fewTries, cancellationType: 'TRY_CANCEL' });
const { embedPart, evaluatePart } = activitiesBy({ ...evaluateOptions, cancellationType: 'TRY_CANCEL' });

export const evaluationQuery = defineQuery<EvaluationStatus>('evaluation');

/** What goes from one history to the next. */
interface Carried {
  readonly plan: PlannedEvaluation;
  readonly done: number;
  /** Absent in inputs of older versions. */
  readonly used?: Used;
}

const sets: readonly FeatureSetName[] = ['classes', 'test', 'train'];

/**
 * Evaluates a model by a task: one pass over the data makes features, part by part, and each evaluator works on these. What is
 * there is kept: an evaluation that was stopped goes on when it is started again, and one that is done answers at once.
 */
export async function siglip2Evaluate(input: unknown, before?: Carried, ...more: unknown[]): Promise<TaskResult> {
  showLog();
  let state: EvaluationStatus['state'] = 'planning';
  let plan = before?.plan;
  let done = before?.done ?? 0;
  let figures = 0;
  let used = before?.used ?? nothingUsed;
  const spend = (of: { readonly used?: Used }) => {
    if (of.used) used = addUsed(used, of.used);
  };
  const all = () => (plan ? sets.reduce((sum, set) => sum + plan!.parts[set], 0) : 0);
  setHandler(evaluationQuery, () => ({
    state,
    parts: { done, all: all() },
    figures: { done: figures, all: plan?.figures ?? 0 },
    prefix: plan?.prefix ?? null,
  }));
  try {
    const carried = before === undefined || (typeof before === 'object' && before !== null && 'plan' in before);
    if (more.length > 0 || !carried || ArrayBuffer.isView(input)) throw invalid(oneInput);
    plan ??= await planEvaluation(input);
    if (!plan.done) {
      state = 'embedding';
      const own = plan;
      const end = Math.min(all(), done + scoresOfOneHistory);
      await inLanes(done, end, async (number) => {
        spend(await embedPart({ plan: own, ...partOf(own, number) }));
        done += 1;
      });
      if (done < all()) return await continueAsNew<typeof siglip2Evaluate>(input, { plan, done, used });
      state = 'evaluating';
      await inLanes(0, plan.figures, async (figure) => {
        spend(await evaluatePart({ plan: own, figure }));
        figures += 1;
      });
      // A worker logs why there is none.
      if (patched('sheet'))
        await drawSheet({ plan: own }).then(spend, (error) => {
          if (isCancellation(error)) throw error;
        });
    }
    const best = (input as Partial<EvaluationInput> | null)?.best;
    let unkept: unknown = null;
    // Before the checkpoint is let go of; where that fails, the figures are there all the same. Also where they were there
    // before: whoever asked for them then may have wanted them alone.
    if (best)
      await keepBest({ plan, best }).catch((error) => {
        if (isCancellation(error)) throw error;
        unkept = error;
      });
    const result = await concludeEvaluation({ plan });
    if (unkept !== null) throw unkept;
    state = 'done';
    return { ...result, used };
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    state = isCancellation(error) ? 'stopped' : 'failed';
    // One that was stopped may go on with its checkpoint; one that failed would hold it for nothing.
    if (plan && !plan.done && state === 'failed') await leaveEvaluation({ plan }).catch(() => {});
    throw clearFailure(error);
  }
}

const oneInput =
  'siglip2Evaluate takes one JSON document, {"model": "RUN/PHASE@STEP", "task": {...}}: --input-file, without --input-meta; src/evaluate/README.md says what stands in it';

/** The parts of all sets have one number after another. */
function partOf({ parts }: PlannedEvaluation, number: number): { set: FeatureSetName; part: number } {
  let part = number;
  for (const set of sets) {
    if (part < parts[set]) return { set, part };
    part -= parts[set];
  }
  throw new Error(`there is no part ${number}`);
}

/** From one number to another, as many at once as there are workers for them. */
async function inLanes(from: number, to: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = from;
  async function lane(): Promise<void> {
    while (next < to) await work(next++);
  }
  await Promise.all(Array.from({ length: Math.min(scoresAtOnce, to - from) }, lane));
}
