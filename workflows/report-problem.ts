import { isUsed } from '../src/costs/used.ts';
import { type PhaseReport, phaseStates } from './messages.ts';
import { inWords, isObject } from './wishes.ts';

/**
 * What makes something that came by a signal no report of a phase, in one sentence; null when it is one. Anybody can
 * send a signal, and a run that fails over one would be stuck, its queries too.
 */
export function reportProblem(report: unknown, phases: readonly { readonly phase: string }[]): string | null {
  if (!isObject(report)) return `a report is ${inWords(report)}; allowed: an object`;
  const { phase, state, last, failure = null, doing = null, spent, notes = [], round } = report as Partial<PhaseReport>;
  // After a reset a phase that is still open reports before the run is planned again.
  const known = phases.length === 0 ? typeof phase === 'string' : phases.some((one) => one.phase === phase);
  if (!known) return `a report names the phase ${inWords(phase)}`;
  if (!phaseStates.some((one) => one === state)) return `a report has the state ${inWords(state)}`;
  const numbers = ['from', 'total', 'revision'].every((name) => Number.isFinite(report[name]));
  const texts = [failure, doing].every((text) => text === null || typeof text === 'string');
  const lines = Array.isArray(notes) && notes.every((note) => isObject(note) && typeof note.what === 'string');
  const used =
    spent === undefined ||
    (isObject(spent) && [spent.deviceMs, spent.began].every(Number.isFinite) && isUsedOrNone(spent.used));
  const rounds = round === undefined || isRound(round);
  return numbers && texts && lines && used && rounds && (last === null || isResult(last))
    ? null
    : `a report of phase ${phase} is ${inWords(report)}, which no phase sends`;
}

const isUsedOrNone = (used: unknown) => used === undefined || isUsed(used);

const isRound = (round: unknown) =>
  isObject(round) &&
  ['number', 'from', 'to', 'slots', 'quorum'].every((name) => Number.isInteger(round[name])) &&
  Array.isArray(round.in);

function isResult(last: unknown): boolean {
  if (!isObject(last) || !isObject(last.checkpoint) || !isObject(last.metrics)) return false;
  const { checkpoint, metrics, committed } = last;
  return Number.isInteger(checkpoint.step) && typeof metrics.loss === 'number' && typeof committed === 'string';
}
