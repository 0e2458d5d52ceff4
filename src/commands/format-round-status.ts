import type { RoundStatus, SlotIn } from '../../workflows/messages.ts';
import { counted, outOf } from '../runtime/count-text.ts';
import { size } from '../runtime/size-text.ts';
import { duration } from './format-duration.ts';
import type { PendingWork } from './run-status.ts';

/** Slots that have a line of their own. */
const mostLines = 32;
/** A beat comes every second; an old one is a worker that is gone. */
const silentSeconds = 5;

/** What a slot of a round is at: in, with a worker, or waiting for one. */
export interface SlotStatus {
  readonly slot: number;
  readonly in: SlotIn | null;
  readonly work: PendingWork | null;
}

/**
 * The slots of a round, with who has each. Work that no worker has taken says no slot: slots are asked for in their order, so
 * the first of it is the first slot that nobody has.
 */
export function slotsOf(round: RoundStatus, pending: readonly PendingWork[]): SlotStatus[] {
  const all = pending.filter(({ activity }) => activity === 'trainReplica');
  const ofRound = all.filter(({ live }) => live?.to === undefined || live.to === round.to);
  const open = Math.min(round.slots, round.to - round.from);
  const byId = (a: PendingWork, b: PendingWork) => Number(a.activityId) - Number(b.activityId);
  const slotOf = ({ live }: PendingWork) => live?.slot;
  const unnamed = ofRound.filter((work) => slotOf(work) === undefined).sort(byId);
  return Array.from({ length: open }, (_, slot) => {
    const own = round.in.find((one) => one.slot === slot) ?? null;
    const named = ofRound.find((work) => slotOf(work) === slot);
    return { slot, in: own, work: own ? null : (named ?? unnamed.shift() ?? null) };
  });
}

/** Live figures of all replicas of a round as those of one trainer: rates are added, since they train at once. */
export function liveOfRound(round: RoundStatus, slots: readonly SlotStatus[]): PendingWork['live'] {
  const figures = slots.flatMap(({ in: own, work }) => own ?? (work?.live?.loss ? [work.live] : []));
  if (figures.length === 0) return null;
  const share = Math.floor((round.to - round.from) / round.slots);
  const done = slots.reduce(
    (sum, { in: own, work }) => sum + (own ? (own.steps ?? share) : (work?.live?.done ?? 0)),
    0,
  );
  const loss = figures.reduce((sum, one) => sum + (one.loss ?? 0), 0) / figures.length;
  const examplesPerSecond = figures.reduce((sum, one) => sum + (one.examplesPerSecond ?? 0), 0);
  const step = Math.min(round.to, round.from + done);
  return { step, loss, examplesPerSecond };
}

/** The round under way, its slots, and the one before. */
export function roundLines(round: RoundStatus, slots: readonly SlotStatus[], now: number): string[] {
  const { number, from, to, last } = round;
  const here = slots.filter((one) => one.in).length;
  const state = round.merging ? 'merging' : round.began === null ? 'not begun' : `${here} in`;
  const lines = [
    `  round ${number}, steps ${from} to ${to}: ${slots.length} slots, ${state}${waits(round, slots, now)}`,
  ];
  if (!round.merging && round.began !== null) {
    lines.push(...slots.slice(0, mostLines).map((slot) => `    ${slotLine(round, slot, now)}`));
    if (slots.length > mostLines) lines.push(`    and ${slots.length - mostLines} more; --json names all`);
  }
  if (!last) return lines;
  const { late, members } = last;
  const missing = late.length > 0 ? `, without slot ${late.slice(0, mostLines).join(', ')}` : '';
  return [
    ...lines,
    `  round ${last.number} before it: ${outOf(members, members + late.length, 'slot')} merged${missing}, ${size(last.up)} up, ${size(last.down)} down, ${duration(last.seconds)}`,
  ];
}

function waits({ began, deadline, quorum, merging }: RoundStatus, slots: readonly SlotStatus[], now: number): string {
  if (began === null || merging) return '';
  const since = `, begun ${duration((now - Date.parse(began)) / 1000)} ago`;
  if (deadline === null) return `${since}; all are waited for`;
  const left = (Date.parse(deadline) - now) / 1000;
  if (left > 0) return `${since}; in ${duration(left)} it goes on with ${quorum} or more`;
  const missing = Math.max(0, quorum - slots.filter((one) => one.in).length);
  return `${since}; its deadline is over, and ${missing} more are waited for`;
}

function slotLine(round: RoundStatus, { slot, in: own, work }: SlotStatus, now: number): string {
  if (own) {
    const { seconds, loss, examplesPerSecond, up, down = 0, steps } = own;
    const made = steps === undefined ? '' : `, ${counted(steps, 'step')}`;
    return `slot ${slot}: in after ${duration(seconds)}${made}, loss ${loss.toFixed(3)}, ${examplesPerSecond.toFixed(0)} examples/s, ${size(up)} up, ${size(down)} down`;
  }
  if (!work) return `slot ${slot}: not known to Temporal just now`;
  const { live, waiting, nextAttemptSeconds, attempt, beatSecondsAgo, lastFailure, worker } = work;
  const parts: string[] = [attempt > 1 ? `attempt ${attempt}` : ''];
  if (waiting) parts.push(nextAttemptSeconds === null ? 'queued' : `tried again in ${duration(nextAttemptSeconds)}`);
  else {
    if (worker) parts.push(live?.device ? `${worker} ${live.device}` : worker);
    if (live?.doing) parts.push(live.doing);
    if (live?.of) parts.push(`step ${live.done ?? 0} of ${live.of}`);
    if (live?.loss) parts.push(`loss ${live.loss.toFixed(3)}`);
    if (live?.examplesPerSecond) parts.push(`${live.examplesPerSecond.toFixed(0)} examples/s`);
    if (live?.up) parts.push(`${size(live.up)} up`);
    if (live?.down) parts.push(`${size(live.down)} down`);
    if (beatSecondsAgo !== null && beatSecondsAgo > silentSeconds) parts.push(`last heard of ${beatSecondsAgo} s ago`);
  }
  if (isLate(round, now)) parts.push('late');
  if (lastFailure) parts.push(`before that: ${lastFailure}`);
  return `slot ${slot}: ${parts.filter((part) => part !== '').join(', ')}`;
}

const isLate = ({ deadline }: RoundStatus, now: number) => deadline !== null && now > Date.parse(deadline);
