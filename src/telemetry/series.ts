import { metricsPrefix, type PhaseKey } from '../checkpoint/keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { eventFile } from './event-file.ts';
import { jsonLines } from './json-lines.ts';
import type { MetricFormat, MetricRecord } from './metric-record.ts';

export const formats: readonly MetricFormat[] = [jsonLines, eventFile];

/**
 * The figures of a phase between its commits. Each commit takes those of the steps that it adds, so that a series has
 * every step once, however often a worker was killed between two commits and trained them again.
 */
export class MetricSeries {
  #records: MetricRecord[] = [];

  add(record: MetricRecord): void {
    // What went back to an older checkpoint tells the same steps again.
    this.#records = this.#records.filter(({ step }) => step < record.step);
    this.#records.push(record);
  }

  /** Writes down the steps after `from` up to that of the commit, and forgets them. */
  async keep(store: ObjectStore, at: PhaseKey & { revision: number; step: number }, from: number): Promise<void> {
    const piece = this.#records.filter(({ step }) => step > from && step <= at.step);
    this.#records = this.#records.filter(({ step }) => step > at.step);
    if (piece.length === 0) return;
    const name = pieceName(at);
    for (const format of formats) await store.put(metricsPrefix(at) + format.fileName(name), format.encode(piece));
  }
}

/** What a commit adds to the figures is named after it. */
export const pieceName = ({ revision, step }: { readonly revision: number; readonly step: number }) =>
  `r${String(revision).padStart(3, '0')}-step-${String(step).padStart(8, '0')}`;
