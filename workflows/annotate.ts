import { ContinueAsNew, continueAsNew, defineQuery, isCancellation, setHandler } from '@temporalio/workflow';
import type { AnnotatePlan, AnnotateShardResult } from '../activities/types/annotation.ts';
import { activitiesBy, showLog } from './activities-by.ts';
import { addShard, noTotals } from './annotation-totals.ts';
import { clearFailure, invalid } from './failures.ts';
import { annotateOptions, lightOptions, scoresAtOnce, scoresOfOneHistory } from './policies.ts';
import type { AnnotationResult, AnnotationStatus, AnnotationTotals } from './results.ts';

const { planAnnotation } = activitiesBy(lightOptions);
const { annotateShard } = activitiesBy(annotateOptions);

export const annotationQuery = defineQuery<AnnotationStatus>('annotation');

/** What goes from one history to the next. */
interface Carried {
  readonly plan: AnnotatePlan;
  readonly done: number;
  readonly totals: AnnotationTotals;
}

/**
 * Has a detector find regions in the pictures of WebDataset shards, and writes them beside the data, shard by shard. What is
 * there is kept: an annotation that was stopped goes on when it is started again.
 */
export async function siglip2Annotate(input: unknown, before?: Carried, ...more: unknown[]): Promise<AnnotationResult> {
  showLog();
  let state: AnnotationStatus['state'] = 'planning';
  let plan = before?.plan;
  let totals = before?.totals ?? noTotals;
  let done = before?.done ?? 0;
  const where = () => ({ shards: { done, all: plan?.shards ?? 0 }, out: plan?.out ?? null, ...totals });
  setHandler(annotationQuery, () => ({ state, ...where() }));
  try {
    const carried = before === undefined || (typeof before === 'object' && before !== null && 'plan' in before);
    if (more.length > 0 || !carried || ArrayBuffer.isView(input)) throw invalid(oneInput);
    plan ??= await planAnnotation(input);
    state = 'annotating';
    const end = Math.min(plan.shards, done + scoresOfOneHistory);
    await annotate(plan, done, end, (result) => {
      done += 1;
      totals = addShard(totals, result);
    });
    if (done < plan.shards) return await continueAsNew<typeof siglip2Annotate>(input, { plan, done, totals });
    state = 'done';
    return where();
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    state = isCancellation(error) ? 'stopped' : 'failed';
    throw clearFailure(error);
  }
}

const oneInput =
  'siglip2Annotate takes one JSON document: --input-file annotation.json, without --input-meta; src/annotation/README.md says what stands in it';

/** Shards of the plan from one to another, as many at once as there are workers for them. */
async function annotate(
  plan: AnnotatePlan,
  from: number,
  to: number,
  onShard: (result: AnnotateShardResult) => void,
): Promise<void> {
  let next = from;
  async function lane(): Promise<void> {
    while (next < to) onShard(await annotateShard({ plan, shard: next++ }));
  }
  await Promise.all(Array.from({ length: Math.min(scoresAtOnce, to - from) }, lane));
}
