import { briefJson, settingDifferences } from '../../recipe/setting-differences.ts';
import { counted } from '../../runtime/count-text.ts';
import type { Piece } from '../../telemetry/curve.ts';
import { spanText } from '../numbers.ts';
import type { PhaseReport, ReportedEvent } from '../types.ts';
import type { Kept } from './kept.ts';

/** Between two records there is always a step or ten; much longer, and nothing trained. */
const [leastGapMs, gapOfMedian] = [60_000, 20];
const mostSpans = 200;
const mostEvents = 300;
const mostFields = 4;

interface Moment {
  readonly time: number;
  readonly step: number;
}

/** In the order in which they happened, whatever counts of them. */
const momentsOf = (pieces: readonly Piece[]): Moment[] =>
  pieces.flatMap(({ records }) => records.map(({ time, step }) => ({ time, step }))).sort((a, b) => a.time - b.time);

/** When a phase trained: its records, cut where nothing was recorded for long. */
export function spansOf(pieces: readonly Piece[]): PhaseReport['spans'] {
  const moments = momentsOf(pieces);
  if (moments.length === 0) return [];
  const spans: [number, number][] = [];
  let from = moments[0]!.time;
  for (const { before, after } of gapsOf(moments).slice(0, mostSpans)) {
    spans.push([from, before.time]);
    from = after.time;
  }
  return [...spans, [from, moments.at(-1)!.time]];
}

function gapsOf(moments: readonly Moment[]): { readonly before: Moment; readonly after: Moment }[] {
  const waits = moments.slice(1).map(({ time }, i) => time - moments[i]!.time);
  const median = [...waits].sort((a, b) => a - b)[Math.floor(waits.length / 2)] ?? 0;
  const most = Math.max(leastGapMs, gapOfMedian * median);
  return waits.flatMap((wait, i) => (wait > most ? [{ before: moments[i]!, after: moments[i + 1]! }] : []));
}

/** What the documents of the bucket tell of interruptions, ways back and changed settings, beside what workflows `told`; the newest of them. */
export function eventsOf(
  pieces: readonly Piece[],
  kept: readonly Kept[],
  told: readonly ReportedEvent[] = [],
): ReportedEvent[] {
  const gaps = gapsOf(momentsOf(pieces)).map(({ before, after }) => ({
    kind: 'gap' as const,
    time: after.time,
    text: `no step was recorded for ${spanText(after.time - before.time)}: paused, stopped, or without a device; went on at step ${after.step}`,
  }));
  const events = [...gaps, ...againOf(pieces), ...revisionsOf(pieces, kept), ...attemptsOf(kept), ...told];
  return events.sort((a, b) => a.time - b.time || (a.text < b.text ? -1 : 1)).slice(-mostEvents);
}

/** Steps that lie in two pieces of one revision were trained twice, since who trained them first died before the commit. */
function againOf(pieces: readonly Piece[]): ReportedEvent[] {
  const events: ReportedEvent[] = [];
  for (const revision of new Set(pieces.map((piece) => piece.revision))) {
    const seen = new Map<number, number>();
    for (const piece of pieces.filter((one) => one.revision === revision)) {
      const again = piece.records.filter(({ step }) => seen.has(step));
      for (const { step, time } of piece.records) seen.set(step, time);
      if (again.length === 0) continue;
      const [first, last] = [again[0]!, again.at(-1)!];
      events.push({
        kind: 'retry',
        time: first.time,
        text: `steps ${first.step} to ${last.step} were trained again after an interruption`,
      });
    }
  }
  return events;
}

/** A revision above the first begins where a phase went back, or was retried with other settings. */
function revisionsOf(pieces: readonly Piece[], kept: readonly Kept[]): ReportedEvent[] {
  const numbers = [...new Set(pieces.map(({ revision }) => revision))].sort((a, b) => a - b);
  return numbers.slice(1).flatMap((revision, i) => {
    const own = pieces.filter((piece) => piece.revision === revision).flatMap(({ records }) => records);
    const before = pieces.filter((piece) => piece.revision === numbers[i]).flatMap(({ records }) => records);
    const first = own[0];
    if (!first) return [];
    const lost = before.filter(({ step }) => step >= first.step).length;
    const reached = before.reduce((most, { step }) => Math.max(most, step), 0);
    const given =
      lost > 0 ? `, back from step ${reached}; ${counted(lost, 'record was', 'records were')} given up` : '';
    return [
      {
        kind: 'back',
        time: first.time,
        text: `revision ${revision} begins at step ${first.step}${given}${changedOf(kept, numbers[i]!, revision)}`,
      },
    ];
  });
}

/** Which settings two revisions differ in, where a checkpoint of each is still there. */
function changedOf(kept: readonly Kept[], before: number, after: number): string {
  const [theirs, ours] = [before, after].map(
    (revision) => kept.find(({ commit }) => commit.revision === revision)?.settings,
  );
  if (!theirs || !ours) return '';
  const fields = settingDifferences(theirs, ours).map(
    ({ at, theirs, ours }) => `${at} from ${briefJson(theirs)} to ${briefJson(ours)}`,
  );
  if (fields.length === 0) return '; with the same settings';
  return `; changed: ${fields.slice(0, mostFields).join(', ')}${fields.length > mostFields ? ' and more' : ''}`;
}

/** The number of an attempt is the second part of its name. */
function attemptsOf(kept: readonly Kept[]): ReportedEvent[] {
  return kept.flatMap(({ commit: { attempt, step, committed } }) => {
    const number = Number(/^\d+-(\d+)-[0-9a-f]{8}$/.exec(attempt)?.[1] ?? 1);
    return number > 1
      ? [
          {
            kind: 'retry' as const,
            time: Date.parse(committed),
            text: `the checkpoint at step ${step} was made by attempt ${number} of its activity`,
          },
        ]
      : [];
  });
}
