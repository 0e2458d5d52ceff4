import {
  CancellationScope,
  ContinueAsNew,
  continueAsNew,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  patched,
  setDefaultSignalHandler,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { EvaluationResult } from '../activities/types/phase-end.ts';
import type { PhasePlan, RunPlan } from '../activities/types/plan.ts';
import type { Used } from '../src/costs/used.ts';
import { activitiesBy, showLog } from './activities-by.ts';
import { evaluatedByTasks } from './evaluate-tasks.ts';
import { clearFailure, invalid, sentence, wasAbandoned } from './failures.ts';
import { failureOf, HandOver, type RunCarried, type Stage } from './hand-over.ts';
import { indexed } from './index-shards.ts';
import { historyQuery, type PhaseState, phaseReportSignal, planQuery, runStatusOf, statusQuery } from './messages.ts';
import { siglip2Phase } from './phase.ts';
import { PhaseGraph } from './phase-graph.ts';
import { unknownSignal } from './phase-handlers.ts';
import type { PhaseInput } from './phase-progress.ts';
import { evaluateOptions, lightOptions, tidyOptions } from './policies.ts';
import { reportProblem } from './report-problem.ts';
import type { HandedOver, PhaseEnd, PhaseResult, RecipeResult } from './results.ts';
import { showIn } from './search-attributes.ts';
import { setSteering } from './steering.ts';
import { usedOf } from './used-of.ts';
import { reported } from './write-report.ts';

const { plan, exportModel } = activitiesBy(lightOptions);
const { sweep } = activitiesBy(tidyOptions);
const { evaluate } = activitiesBy(evaluateOptions);

/**
 * A whole run of a recipe: plan, then each phase as soon as the checkpoint that it goes on from is there, its
 * evaluation and its export. The workflow ID is the name of the run. The recipe is checked by `plan`, so that every
 * mistake is in one answer before anything is trained. What comes beside the recipe is what the history before carried
 * over: a run of years has several.
 */
export async function siglip2Recipe(...given: [unknown?, RunCarried?]): Promise<RecipeResult> {
  showLog();
  const { workflowId: run, continuedFromExecutionRunId } = workflowInfo();
  const [recipe, before] = continuedFromExecutionRunId === undefined ? [given[0]] : given;
  let state: PhaseState = before?.state ?? 'planning';
  let failure: string | null = null;
  let graph = new PhaseGraph(before?.planned.phases, before?.graph);
  const handOver = new HandOver(before?.stages);
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
      handOver.look();
      const { plan } = graph.open(wish.kind, phase);
      // A phase that ended meanwhile needs nothing.
      return plan ? handOver.pass(run, plan.phase, wish) : 'accepted';
    },
  });
  setHandler(phaseReportSignal, (report) => {
    handOver.look();
    const problem = reportProblem(report, graph.plans);
    if (problem !== null) return graph.noteRun(`a signal was dropped: ${problem}`);
    graph.record(report);
    // The end of a phase is not the end of the run.
    if (report.state !== 'done' && report.state !== 'failed') become(report.state, report.phase);
  });
  setDefaultSignalHandler((name) => graph.noteRun(unknownSignal(name)));

  try {
    const planned = before?.planned ?? (await planRun());
    const all = Promise.allSettled(planned.phases.map((phase) => runPhase(planned, phase)));
    const settled = await Promise.race([all, handOver.ready(run)]);
    if (!settled) {
      const stages = handOver.carried(planned.phases.length);
      return await continueAsNew<typeof siglip2Recipe>(recipe, { state, planned, graph: graph.carried(), stages });
    }
    const phases = settled.flatMap((outcome) =>
      outcome.status === 'fulfilled' && outcome.value ? [outcome.value] : [],
    );
    // A phase that was abandoned is no failure of a run that has others to show.
    const failed = settled.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    const serious = failed.find((reason) => phases.length === 0 || !wasAbandoned(reason));
    if (serious !== undefined) throw serious;
    // Runs of before this was written end without.
    if (patched('sweep')) await sweep({ run }).catch((error) => graph.note(planned.phases.at(-1)!, notSwept(error)));
    // Runs of before this was written end without a page.
    const page = patched('report') ? await reported(run, graph, null) : null;
    become('done');
    return { run, data: usedOf(planned, phases), phases, ...(page && { report: page.uri }) };
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    const stopped = isCancellation(error);
    if (!stopped) failure = sentence(error);
    // What phases had borrowed that never began; a run that was not planned has borrowed nothing.
    if (graph.plans.length > 0 && patched('leaves-tidy'))
      await CancellationScope.nonCancellable(() => sweep({ run })).catch(() => {});
    if (graph.plans.length > 0 && patched('report')) await reported(run, graph, null);
    become(stopped ? 'stopped' : 'failed');
    throw clearFailure(error);
  }

  async function planRun(): Promise<RunPlan> {
    const problem = inputProblem(given);
    if (problem !== null && patched('input-checked')) throw invalid(problem);
    become('planning');
    await indexed({ run, recipe });
    const planned = await plan({ run, recipe });
    graph = new PhaseGraph(planned.phases);
    return planned;
  }

  async function runPhase(planned: RunPlan, phase: PhasePlan): Promise<PhaseResult | null> {
    const stage = handOver.stageOf(phase.phase);
    if (stage && 'result' in stage) return stage.result;
    if (stage && 'failure' in stage) throw failureOf(stage);
    try {
      const last = stage && 'end' in stage ? stage.end : await trained(phase, stage);
      if (!last) return null;
      await handOver.gate(phase.phase, { end: last });
      return await handOver.during(async () => {
        const result = await takeStock(planned, last.plan ?? phase, last);
        if (patched('report')) await reported(run, graph, phase.phase);
        return handOver.done(phase.phase, result);
      });
    } catch (error) {
      // First: a new history that begins meanwhile has to know that it failed.
      handOver.failed(phase.phase, error);
      if (graph.hasBegun(phase) && patched('report')) await handOver.during(() => reported(run, graph, phase.phase));
      throw error;
    }
  }

  /** What a phase ends with; null when the phase before ended without what this one begins with, and says why. */
  async function trained(phase: PhasePlan, stage?: Extract<Stage, { input: unknown }>): Promise<PhaseEnd | null> {
    let last: PhaseEnd | null = null;
    try {
      let input = stage?.input ?? (await beginningOf(phase));
      for (let tries = 0; input && !last; tries++) {
        await handOver.gate(phase.phase, { input });
        input = handOver.newest(phase.phase, input);
        const end = await train(input, tries);
        if (end && 'handedOver' in end) input = end.handedOver;
        else last = end;
      }
    } finally {
      graph.ended(phase.phase, last);
    }
    return last;
  }

  async function beginningOf(phase: PhasePlan): Promise<PhaseInput | null> {
    const origin = await graph.originOf(phase);
    const scorer = origin && (await graph.teacherOf(phase));
    return scorer && { plan: phase, parent: origin.parent, ...scorer };
  }

  /** Null while the phase of before a `workflow reset` is still open: it was asked to end, with a checkpoint. */
  async function train(input: PhaseInput, tries: number): Promise<PhaseEnd | HandedOver | null> {
    const { phase } = input.plan;
    const workflowId = `${run}/${phase}`;
    try {
      return await handOver.child(phase, workflowId, () =>
        executeChild(siglip2Phase, {
          workflowId,
          args: [input],
          // Its shard ends with a checkpoint, also when the run is terminated.
          parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
          cancellationType: 'WAIT_CANCELLATION_COMPLETED',
        }),
      );
    } catch (error) {
      // The workflow library does not export the class.
      if ((error as Error).name !== 'WorkflowExecutionAlreadyStartedError') throw error;
      if (tries === 0)
        graph.note(
          input.plan,
          `waits for ${workflowId} of before to end; temporal workflow cancel --workflow-id ${workflowId}`,
        );
      handOver.look();
      // Some seconds for a checkpoint; a phase that a person started alone may go on for days.
      await handOver.during(() => sleep(Math.min(5 * 2 ** tries, 300) * 1000));
      return null;
    }
  }

  function notSwept(error: unknown): string {
    return `not tidied: ${sentence(error)}; npm run siglip2 -- sweep ${run} does it`;
  }

  /** What a phase has become: figures, and a folder that `transformers` loads. */
  async function takeStock({ evaluation }: RunPlan, phase: PhasePlan, last: PhaseEnd): Promise<PhaseResult> {
    const { checkpoint, metrics, skipped, filtered, watched } = last;
    become('evaluating', phase.phase);
    const spend = (used?: Used) => graph.evaluated(phase.phase, used);
    const evaluated = evaluation && figuresOf(await evaluate({ plan: phase, evaluation, checkpoint }), spend);
    const tasks = await evaluatedByTasks(phase, checkpoint, spend);
    become('exporting', phase.phase);
    const exported = await exportModel({ plan: phase, checkpoint, evaluation: evaluated });
    const used = graph.usedOf(phase.phase);
    const uri = exported.uri.slice(0, -exported.prefix.length) + checkpoint.prefix;
    return {
      phase: phase.phase,
      checkpoint: { ...checkpoint, uri },
      metrics,
      ...(skipped && { skipped }),
      ...(filtered && { filtered }),
      evaluation: evaluated,
      export: exported,
      ...(used && { used }),
      ...(watched && { watched }),
      ...(tasks && { tasks }),
    };
  }
}

/** The evaluation alone: what it used is summed elsewhere. */
function figuresOf({ key, report, used }: EvaluationResult, spend: (used?: Used) => void): EvaluationResult {
  spend(used);
  return { key, report };
}

/** What can't be a recipe, by its form alone: `plan` looks into it. */
function inputProblem(given: readonly unknown[]): string | null {
  const how = 'give one JSON document: --input-file recipe.json';
  if (given.length > 1) return `siglip2Recipe has ${given.length} inputs, and a run has one recipe; ${how}`;
  if (ArrayBuffer.isView(given[0])) return `the recipe came as bytes, not as JSON; ${how}, without --input-meta`;
  return null;
}
