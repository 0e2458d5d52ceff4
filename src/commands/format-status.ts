import type { Status } from '../../workflows/messages.ts';
import { counted, outOf } from '../runtime/count-text.ts';
import type { FirstStepSeconds } from '../worker-life/first-step.ts';
import { costLines } from './format-costs.ts';
import { dataLines, dataState } from './format-data-work.ts';
import { duration } from './format-duration.ts';
import { formatResult } from './format-evaluation.ts';
import { formatFigures } from './format-figures.ts';
import { liveOfRound, roundLines, slotsOf } from './format-round-status.ts';
import type { PendingWork, RunStatus } from './run-status.ts';

/** A run's status for a person: what it is, where it is, what it does now, what is safe. */
export function formatStatus(status: RunStatus, now: number = Date.now()): string {
  const { run, temporal, workflow, workerSecondsAgo, result, data, pending, newest, problems } = status;
  const works = workOf(pending);
  const phase = workflow?.phase ?? works.find((work) => work.phase !== null)?.phase ?? newest?.phase ?? null;
  // Branches run side by side: steps and figures of one say nothing of another.
  const ofPhase = works.find((work) => work.phase === phase) ?? works.find((work) => work.phase === null);
  const round = workflow?.state === 'training' && workflow.round;
  const slots = round
    ? slotsOf(
        round,
        pending.filter((work) => work.phase === phase || work.phase === null),
      )
    : [];
  const live = round ? liveOfRound(round, slots) : (ofPhase?.live ?? null);
  const commit = newest?.phase === phase ? newest : null;
  const lines: string[] = [];
  const told = data ? dataState(data, workflow) : workflow?.state;
  const state = told ?? (temporal === null ? 'not known to Temporal' : temporal.toLowerCase());
  lines.push(`${run}: ${state}${workflow?.failure ? `: ${workflow.failure}` : ''}`);
  if (phase) {
    const step = Math.max(workflow?.step ?? 0, commit?.step ?? 0, live?.step ?? 0);
    const share = workflow?.total ? ` of ${workflow.total} (${((100 * step) / workflow.total).toFixed(1)} %)` : '';
    const figures = figuresOf(workflow, commit, live, step);
    const computed = computedWith(live?.precision ? live : workflow);
    lines.push(`  phase ${phase}, step ${step}${share}${figures ? `, ${figures}` : ''}${computed}`);
  }
  const reported = live?.figures && Object.keys(live.figures).length > 0 ? live : commit?.metrics;
  // A process that has just begun knows nothing yet of what is made at some steps alone.
  const known = { ...commit?.metrics.figures, ...live?.figures };
  for (const line of formatFigures(reported?.objectives ?? {}, known)) lines.push(`  ${line}`);
  const curation = curationOf(live?.objectives ?? commit?.metrics.objectives);
  if (curation) lines.push(curation);
  if (workflow?.skipped) lines.push(`  ${notUsed(workflow.skipped)}`);
  if (workflow?.filtered)
    lines.push(
      `  passed over: ${counted(workflow.filtered, 'draw')} of examples that a filter leaves out, or without a text in a language that is drawn`,
    );
  if (round) lines.push(...roundLines(round, slots, now));
  if (workflow?.watched) lines.push(`  ${watchedFigure(workflow.watched)}`);
  lines.push(...costLines(status));
  if (workflow?.doing) lines.push(`  ${workflow.doing}`);
  if (data) lines.push(...dataLines(data));
  const next = workflow && nextCommands[workflow.state];
  if (next) lines.push(`  go on with: temporal workflow update execute --workflow-id ${run} --name ${next}`);
  for (const work of works) {
    // Each slot has its line.
    if (round && work === ofPhase && work.activity === 'trainReplica') continue;
    const other = work.phase !== null && work.phase !== phase ? `phase ${work.phase}: ` : '';
    lines.push(`  ${other}${doing(work)}`);
    if (work.live?.firstStep) lines.push(`  ${other}${firstStepOf(work.live.firstStep)}`);
    if (work.live?.remark) lines.push(`  ${other}${work.live.remark}`);
    if (work.lastFailure) lines.push(`  before that: ${work.lastFailure}`);
  }
  if (temporal === 'RUNNING' && told === undefined)
    lines.push(
      workerSecondsAgo === null
        ? '  no worker answers: npm run worker starts one'
        : `  no answer within 2 s: the worker, last heard of ${duration(workerSecondsAgo)} ago, is busy or has just gone`,
    );
  for (const phase of result?.phases ?? []) lines.push(...formatResult(phase));
  if (newest) {
    const age = duration((now - Date.parse(newest.committed)) / 1000);
    const revision = newest.revision > 0 ? ` (revision ${newest.revision})` : '';
    lines.push(
      `  last checkpoint ${newest.run}/${newest.phase}@${newest.step}${revision}, ${age} ago, sha256 ${newest.sha256.slice(0, 12)}...`,
    );
  } else if (!data && !problems.some((problem) => problem.startsWith('bucket'))) lines.push('  no checkpoint yet');
  for (const problem of problems) lines.push(`  could not be asked: ${problem}`);
  return `${lines.join('\n')}\n`;
}

/** "pets retrieval mean.text_to_image.r1: 0.41 at step 800, best 0.43 at step 600; not risen for 2 of 5 evaluations". */
function watchedFigure({ figure, step, value, best, without, patience, stopped }: NonNullable<Status['watched']>) {
  const [now, top] = [value, best.value].map((one) => Number(one.toPrecision(4)));
  const risen = without === 0 ? 'risen' : `not risen for ${outOf(without, patience, 'evaluation')}`;
  return `${figure}: ${now} at step ${step}, best ${top} at step ${best.step}; ${risen}${stopped ? ', so the phase has ended' : ''}`;
}

/** Members of the data that were not used, with the reasons: "not used: 8 of 16 ...". */
function notUsed({ members, orMore, of, reasons }: NonNullable<Status['skipped']>): string {
  const count = `${members}${orMore ? ' or more' : ''}${of === undefined ? '' : ` of ${of}`}`;
  const each = reasons.map(({ reason, members, example }) => `${members} ${reason}${example && ` (${example})`}`);
  return `not used: ${count} members of the data: ${each.join('; ')}`;
}

/** What its steps are computed with, which may have been measured: ", in bf16 with XLA". */
function computedWith(of: { readonly precision?: unknown; readonly xla?: unknown } | null): string {
  return of?.precision ? `, in ${String(of.precision)}${of.xla === 'on' ? ' with XLA' : ''}` : '';
}

/** "its worker made its first step after 21.4 s, and had waited 900.0 s for work: load 1.2, connect 0.4, ...". */
function firstStepOf({ total, wait, ...parts }: FirstStepSeconds): string {
  const each = Object.entries(parts).map(([part, seconds]) => `${part} ${seconds.toFixed(1)}`);
  return `its worker made its first step after ${(total - wait).toFixed(1)} s, and had waited ${wait.toFixed(1)} s for work: ${each.join(', ')}`;
}

/** What a phase that stands still goes on with. */
const nextCommands: Readonly<Record<string, string>> = {
  waiting: 'retryPhase, or --name abandonPhase',
  paused: 'resume, or --name retryPhase to go on with other settings, or --name abandonPhase',
  // Tried again it stands at the same limit.
  limit: 'setLimits with a higher one, or with null for none, or --name abandonPhase',
};

/** One of each phase, and one of the run itself: its training, or else what it does first. */
function workOf(pending: RunStatus['pending']): PendingWork[] {
  return [...new Set(pending.map(({ phase }) => phase))].map((phase) => {
    const own = pending.filter((work) => work.phase === phase);
    return own.find(({ activity }) => activity === 'trainShard') ?? own[0]!;
  });
}

function figuresOf(
  workflow: RunStatus['workflow'],
  commit: RunStatus['newest'],
  live: PendingWork['live'],
  step: number,
): string {
  const loss = live?.loss || commit?.metrics.loss;
  const rate = live?.examplesPerSecond || commit?.metrics.examplesPerSecond;
  const parts: string[] = [];
  const single = lossesOf(live?.objectives ?? commit?.metrics.objectives);
  const mean = (live?.figures ?? commit?.metrics.figures)?.['loss/mean'];
  if (loss) parts.push(`loss ${loss.toFixed(3)}${single}`);
  // Over the steps since the last record; of one step it says nothing more.
  if (loss && mean !== undefined && mean.toFixed(3) !== loss.toFixed(3)) parts.push(`mean loss ${mean.toFixed(3)}`);
  if (rate) parts.push(`${rate.toFixed(0)} examples/s`);
  if (live?.dataWaitShare) parts.push(`${(100 * live.dataWaitShare).toFixed(0)} % waiting for data`);
  if (rate && workflow?.state === 'training' && workflow.total > step)
    parts.push(`about ${duration(((workflow.total - step) * workflow.batch) / rate)} left`);
  return parts.join(', ');
}

/** Each objective's own loss, where there are several: " (sigmoid 2.310, captioning 5.020)". */
function lossesOf(reported: Readonly<Record<string, number>> = {}): string {
  const losses = Object.entries(reported).filter(([key]) => key.startsWith('loss/'));
  if (losses.length < 2) return '';
  return ` (${losses.map(([key, value]) => `${key.slice('loss/'.length)} ${value.toFixed(3)}`).join(', ')})`;
}

/** What a phase of curation chooses: mean scores, and how the share of each source changes. */
function curationOf(reported: Readonly<Record<string, number>> = {}): string | null {
  const { 'curation/chosen': chosen, 'curation/rejected': rejected, 'curation/waitShare': waits = 0 } = reported;
  if (chosen === undefined || rejected === undefined) return null;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const sources = Object.entries(reported).flatMap(([key, share]) => {
    const source = /^source\/(.+)\/candidates$/.exec(key)?.[1];
    if (source === undefined) return [];
    return [`${source} ${percent(share)} -> ${percent(reported[`source/${source}/chosen`] ?? 0)}`];
  });
  const waited = waits > 0 ? `, ${(100 * waits).toFixed(0)} % waiting for choices` : '';
  const scores = `  curation: mean score of the chosen ${chosen.toFixed(3)}, of the rejected ${rejected.toFixed(3)}${waited}`;
  return sources.length > 0 ? `${scores}; ${sources.join(', ')}` : scores;
}

function doing({ activity, attempt, waiting, nextAttemptSeconds, live, beatSecondsAgo, ...of }: PendingWork): string {
  const parts = [`${activity}${attempt > 1 ? `, attempt ${attempt}` : ''}`];
  if (of.paused)
    parts.push(
      `${waiting ? 'paused' : 'is being paused'}; go on with temporal activity unpause --workflow-id ${of.workflowId} --activity-id ${of.activityId}`,
    );
  else if (waiting)
    parts.push(nextAttemptSeconds === null ? 'queued' : `tried again in ${duration(nextAttemptSeconds)}`);
  else {
    if (live?.device) parts.push(`on ${live.device}`);
    if (live?.doing) parts.push(live.doing);
  }
  // A beat comes every second; an old one is a worker that is gone.
  if (!waiting && beatSecondsAgo !== null && beatSecondsAgo > 5) parts.push(`last heard of ${beatSecondsAgo} s ago`);
  return parts.join(': ');
}
