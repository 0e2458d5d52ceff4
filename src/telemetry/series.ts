import { metricsPrefix, type PhaseKey } from '../checkpoint/keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { eventFile } from './event-file.ts';
import { jsonLines } from './json-lines.ts';
import type { MetricFormat, MetricRecord } from './metric-record.ts';

export const formats: readonly MetricFormat[] = [jsonLines, eventFile];

/**
 * The figures of a phase between its commits. Each attempt writes those of the steps that it adds, before the commit
 * that ends them, so that every committed step has its record in some piece, however often a worker was killed. Steps
 * that were trained again lie in two pieces, with the same values: `curveOf` takes each once.
 */
export class MetricSeries {
  #records: MetricRecord[] = [];

  add(records: readonly MetricRecord[]): void {
    this.#records.push(...records);
  }

  /** Writes down the steps up to that of a commit, and forgets them. */
  async keep(store: ObjectStore, at: PhaseKey & { revision: number; step: number }): Promise<void> {
    const piece = this.#records.filter(({ step }) => step <= at.step);
    if (piece.length === 0) return;
    await put(store, at, pieceName(at), piece);
    this.#records = this.#records.filter(({ step }) => step > at.step);
  }
}

/** Of a round there is one record, of the step that it ends with, in a file of its own: steps have theirs already. */
export const keepRound = (
  store: ObjectStore,
  at: PhaseKey & { readonly revision: number; readonly step: number },
  records: readonly MetricRecord[],
): Promise<void> => put(store, at, roundsName + pieceName(at), records);

/** What names of pieces of rounds begin with. */
export const roundsName = 'rounds-';

async function put(store: ObjectStore, at: PhaseKey, name: string, records: readonly MetricRecord[]): Promise<void> {
  await Promise.all(
    formats.map((format) => store.put(metricsPrefix(at) + format.fileName(name), format.encode(records))),
  );
}

/** What a commit adds to the figures is named after it. */
export const pieceName = ({ revision, step }: { readonly revision: number; readonly step: number }) =>
  `r${String(revision).padStart(3, '0')}-step-${String(step).padStart(8, '0')}`;

/** Revision and step of a name that `pieceName` gave, with anything after it; null for other names. */
export function parsePieceName(name: string): { readonly revision: number; readonly step: number } | null {
  const [, revision, step] = /^r(\d{3,9})-step-(\d{8,15})(?!\d)/.exec(name) ?? [];
  return revision === undefined ? null : { revision: Number(revision), step: Number(step) };
}
