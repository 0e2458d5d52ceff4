import type { MetricRecord } from './metric-record.ts';

/** Records that were written with one commit. */
export interface Piece {
  readonly name: string;
  readonly revision: number;
  readonly step: number;
  readonly records: readonly MetricRecord[];
}

/**
 * The records that count, in their pieces and in order: every step once. A revision counts from its first step on, and
 * what older ones had from there was given up; within a revision a later piece was written by who went on.
 */
export function curveOf(pieces: readonly Piece[]): Piece[] {
  const newestFirst = [...pieces].sort((a, b) => b.revision - a.revision || b.step - a.step);
  const curve: Piece[] = [];
  const seen = new Set<number>();
  let revision = newestFirst[0]?.revision;
  let [end, first] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const piece of newestFirst) {
    if (piece.revision !== revision) {
      revision = piece.revision;
      end = Math.min(end, first);
    }
    const records = piece.records.filter(({ step }) => step < end && !seen.has(step));
    for (const { step } of records) {
      seen.add(step);
      first = Math.min(first, step);
    }
    if (records.length > 0) curve.push({ ...piece, records: [...records].sort((a, b) => a.step - b.step) });
  }
  return curve.reverse();
}
