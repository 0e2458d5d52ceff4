import {
  executeChild,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, EvaluationResult, ExportResult, ShardResult } from '../activities/types.ts';
import { clearFailure, sentence } from './failures.ts';
import { type PhaseReport, type PhaseState, phaseReportSignal, statusOf, statusQuery } from './messages.ts';
import { siglip2Phase } from './phase.ts';
import { evaluateOptions, lightOptions } from './policies.ts';
import { showIn } from './search-attributes.ts';

/** What a finished run answers: references and figures. */
export interface RecipeResult {
  readonly run: string;
  /** Examples that were trained on, and members of the shards that could not be used. */
  readonly data: { readonly examples: number; readonly corrupt: number };
  readonly checkpoint: ShardResult['checkpoint'] & { readonly uri: string };
  readonly evaluation: EvaluationResult | null;
  readonly export: ExportResult;
}

const { plan, exportModel } = proxyActivities<Activities>(lightOptions);
const { evaluate } = proxyActivities<Activities>(evaluateOptions);

/**
 * A whole run of a recipe: plan, phases, evaluation, export. The workflow ID is the name of the run. The recipe is
 * checked by `plan`, so that every mistake is in one answer before anything is trained.
 */
export async function siglip2Recipe(recipe: unknown): Promise<RecipeResult> {
  const run = workflowInfo().workflowId;
  let state: PhaseState = 'planning';
  let failure: string | null = null;
  let report: PhaseReport | null = null;
  let batch = 1;
  const become = (next: PhaseState) => {
    state = next;
    const step = report?.last?.checkpoint.step ?? 0;
    showIn({ run, state, step, ...(report ? { phase: report.phase } : {}) });
  };
  setHandler(statusQuery, () => statusOf(run, state, report, batch, failure, workflowInfo().unsafe.now()));
  setHandler(phaseReportSignal, (next) => {
    report = next;
    // The end of a phase is not the end of the run.
    if (next.state !== 'done' && next.state !== 'failed') become(next.state);
  });

  try {
    become('planning');
    const planned = await plan({ run, recipe });
    let result: ShardResult | null = null;
    for (const phase of planned.phases) {
      batch = phase.batch;
      result = await executeChild(siglip2Phase, {
        workflowId: `${run}/${phase.phase}`,
        args: [{ plan: phase }],
        // Its shard ends with a checkpoint, also when the run is terminated.
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
        cancellationType: 'WAIT_CANCELLATION_COMPLETED',
      });
    }
    const phase = planned.phases.at(-1)!;
    const { checkpoint } = result!;
    let evaluation: EvaluationResult | null = null;
    if (planned.evaluation) {
      become('evaluating');
      evaluation = await evaluate({ plan: phase, evaluation: planned.evaluation, checkpoint });
    }
    become('exporting');
    const exported = await exportModel({ plan: phase, checkpoint, evaluation });
    become('done');
    const uri = exported.uri.slice(0, -exported.prefix.length) + checkpoint.prefix;
    const { examples, corrupt } = planned;
    return { run, data: { examples, corrupt }, checkpoint: { ...checkpoint, uri }, evaluation, export: exported };
  } catch (error) {
    const stopped = isCancellation(error);
    if (!stopped) failure = sentence(error);
    become(stopped ? 'stopped' : 'failed');
    throw clearFailure(error);
  }
}
