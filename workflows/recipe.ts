import {
  CancellationScope,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  patched,
  proxyActivities,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type {
  Activities,
  EvaluationResult,
  ExportResult,
  PhasePlan,
  RunPlan,
  ShardResult,
} from '../activities/types.ts';
import { clearFailure, sentence, wasAbandoned } from './failures.ts';
import { historyQuery, type PhaseState, phaseReportSignal, planQuery, runStatusOf, statusQuery } from './messages.ts';
import { type PhaseEnd, siglip2Phase } from './phase.ts';
import { PhaseGraph } from './phase-graph.ts';
import type { PhaseInput } from './phase-progress.ts';
import { evaluateOptions, lightOptions, tidyOptions } from './policies.ts';
import { showIn } from './search-attributes.ts';
import { setSteering, wishSignal } from './steering.ts';

/** What a finished phase answers: references and figures. */
export interface PhaseResult {
  readonly phase: string;
  readonly checkpoint: ShardResult['checkpoint'] & { readonly uri: string };
  readonly metrics: ShardResult['metrics'];
  readonly evaluation: EvaluationResult | null;
  readonly export: ExportResult;
}

/** What a finished run answers. */
export interface RecipeResult {
  readonly run: string;
  /** Examples that were trained on, and members of the shards that could not be used. */
  readonly data: { readonly examples: number; readonly corrupt: number };
  /** In the order of the recipe. */
  readonly phases: readonly PhaseResult[];
}

const { plan, exportModel } = proxyActivities<Activities>(lightOptions);
const { sweep } = proxyActivities<Activities>(tidyOptions);
const { evaluate } = proxyActivities<Activities>(evaluateOptions);

/**
 * A whole run of a recipe: plan, then each phase as soon as the checkpoint that it goes on from is there, its
 * evaluation and its export. The workflow ID is the name of the run. The recipe is checked by `plan`, so that every
 * mistake is in one answer before anything is trained.
 */
export async function siglip2Recipe(recipe: unknown): Promise<RecipeResult> {
  const run = workflowInfo().workflowId;
  let state: PhaseState = 'planning';
  let failure: string | null = null;
  let graph = new PhaseGraph();
  const become = (next: PhaseState, phase?: string) => {
    state = next;
    const step = graph.reports.reduce((sum, { from, last }) => sum + (last ? last.checkpoint.step - from : 0), 0);
    showIn({ run, state, step, ...(phase === undefined ? {} : { phase }) });
  };
  setHandler(statusQuery, () => runStatusOf(run, state, graph, failure, workflowInfo().unsafe.now()));
  setHandler(planQuery, () => graph.plans);
  setHandler(historyQuery, () => graph.history);
  setSteering({
    problem: (wish, phase) => graph.problem(wish, phase),
    take: async (wish, phase) => {
      const { plan } = graph.open(wish.kind, phase);
      // A phase that ended meanwhile needs nothing.
      if (plan) await getExternalWorkflowHandle(`${run}/${plan.phase}`).signal(wishSignal, wish);
      return 'accepted';
    },
  });
  setHandler(phaseReportSignal, (report) => {
    graph.record(report);
    // The end of a phase is not the end of the run.
    if (report.state !== 'done' && report.state !== 'failed') become(report.state, report.phase);
  });

  try {
    become('planning');
    const planned = await plan({ run, recipe });
    graph = new PhaseGraph(planned.phases);
    const settled = await Promise.allSettled(planned.phases.map((phase) => runPhase(phase)));
    const phases = settled.flatMap((outcome) =>
      outcome.status === 'fulfilled' && outcome.value ? [outcome.value] : [],
    );
    // A phase that was abandoned is no failure of a run that has others to show.
    const failed = settled.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    const serious = failed.find((reason) => phases.length === 0 || !wasAbandoned(reason));
    if (serious !== undefined) throw serious;
    // Runs of before this was written end without.
    if (patched('sweep')) await sweep({ run }).catch((error) => graph.note(planned.phases.at(-1)!, notSwept(error)));
    become('done');
    const { examples, corrupt } = planned;
    return { run, data: { examples, corrupt }, phases };

    async function runPhase(phase: PhasePlan): Promise<PhaseResult | null> {
      let last: PhaseEnd | null = null;
      try {
        const origin = await graph.originOf(phase);
        // The phase before says why it ended.
        const scorer = origin && (await graph.teacherOf(phase));
        if (!scorer) return null;
        while (!last) last = await train({ plan: phase, parent: origin.parent, ...scorer });
      } finally {
        graph.ended(phase.phase, last);
      }
      return takeStock(planned, last.plan ?? phase, last);
    }
    /** Null while the phase of before a `workflow reset` is still open: it was asked to end, with a checkpoint. */
    async function train(input: PhaseInput): Promise<PhaseEnd | null> {
      const workflowId = `${run}/${input.plan.phase}`;
      try {
        return await executeChild(siglip2Phase, {
          workflowId,
          args: [input],
          // Its shard ends with a checkpoint, also when the run is terminated.
          parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
          cancellationType: 'WAIT_CANCELLATION_COMPLETED',
        });
      } catch (error) {
        // The workflow library does not export the class.
        if ((error as Error).name !== 'WorkflowExecutionAlreadyStartedError') throw error;
        graph.note(
          input.plan,
          `waits for ${workflowId} of before to end; temporal workflow cancel --workflow-id ${workflowId}`,
        );
        await sleep('5s');
        return null;
      }
    }
  } catch (error) {
    const stopped = isCancellation(error);
    if (!stopped) failure = sentence(error);
    // What phases had borrowed that never began; a run that was not planned has borrowed nothing.
    if (graph.plans.length > 0 && patched('leaves-tidy'))
      await CancellationScope.nonCancellable(() => sweep({ run })).catch(() => {});
    become(stopped ? 'stopped' : 'failed');
    throw clearFailure(error);
  }

  function notSwept(error: unknown): string {
    return `not tidied: ${sentence(error)}; npm run siglip2 -- sweep ${run} does it`;
  }

  /** What a phase has become: figures, and a folder that `transformers` loads. */
  async function takeStock({ evaluation }: RunPlan, phase: PhasePlan, last: ShardResult): Promise<PhaseResult> {
    const { checkpoint, metrics } = last;
    become('evaluating', phase.phase);
    const evaluated = evaluation && (await evaluate({ plan: phase, evaluation, checkpoint }));
    become('exporting', phase.phase);
    const exported = await exportModel({ plan: phase, checkpoint, evaluation: evaluated });
    const uri = exported.uri.slice(0, -exported.prefix.length) + checkpoint.prefix;
    return { phase: phase.phase, checkpoint: { ...checkpoint, uri }, metrics, evaluation: evaluated, export: exported };
  }
}
