import type { ShardResult, SkippedOf } from '../activities/types/shard.ts';
import type { PhaseReport } from './messages.ts';
import { briefRound } from './round-status.ts';

/** A history holds thousands of reports, so each is 1 KB, and 3 KB at most: the figures that a run shows, and short lines. */
const mostNotes = 5;
const mostCharacters = 160;
const mostOfFailure = 600;
/** Reasons why members of the data are not used, most frequent first. */
const mostReasons = 2;
const mostOfReason = 100;
const shown = ['curation/chosen', 'curation/rejected'];

export const cut = (text: string, most: number) => (text.length <= most ? text : `${text.slice(0, most - 3)}...`);

/** A report without what only the phase itself, its checkpoint or its figures in the bucket have to tell. */
export function brief({ last, failure, doing, watched, round, notes = [], ...report }: PhaseReport): PhaseReport {
  return {
    ...report,
    last: last && briefResult(last),
    ...(failure !== undefined && { failure: failure && cut(failure, mostOfFailure) }),
    ...(doing !== undefined && { doing: doing && cut(doing, mostCharacters) }),
    ...(watched && { watched: { ...watched, figure: cut(watched.figure, mostCharacters) } }),
    ...(round && { round: briefRound(round) }),
    ...(notes.length > 0 && {
      notes: notes.slice(-mostNotes).map((note) => ({ ...note, what: cut(note.what, mostCharacters) })),
    }),
  };
}

function briefResult({
  checkpoint,
  metrics,
  committed,
  attempt,
  skipped,
  filtered,
  precision,
  xla,
}: ShardResult): ShardResult {
  const { loss, objectives, examplesPerSecond, dataWaitShare } = metrics;
  const few = Object.entries(objectives ?? {}).filter(([name]) => shown.includes(name));
  const figures = { loss, ...(few.length > 0 && { objectives: Object.fromEntries(few) }) };
  const kept = { ...figures, examplesPerSecond, dataWaitShare };
  const made = { checkpoint, metrics: kept, committed, attempt, ...(precision && { precision, xla }) };
  return { ...made, ...(skipped && { skipped: fewReasons(skipped) }), ...(filtered && { filtered }) };
}

function fewReasons({ reasons, ...counts }: SkippedOf): SkippedOf {
  const few = reasons.slice(0, mostReasons).map(({ reason, members, example }) => {
    return { reason: cut(reason, mostOfReason), members, example: cut(example, mostOfReason) };
  });
  const members = reasons.slice(mostReasons).reduce((sum, { members }) => sum + members, 0);
  const others = members > 0 ? [{ reason: 'other reasons', members, example: '' }] : [];
  return { ...counts, reasons: [...few, ...others] };
}
