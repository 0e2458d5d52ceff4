import type { PhaseKey } from '../src/checkpoint/keys.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import { keepRound } from '../src/telemetry/series.ts';
import type { FoundSlot } from './round-documents.ts';
import type { MergeInput } from './types/rounds.ts';

/** Slots that have figures of their own: what reads them keeps every name for long. */
const mostSlots = 64;

/** What a round was: who was in, their bytes, and the loss, pace and bytes of each slot; its steps where they are not alike. */
export function figuresOfRound(
  members: readonly FoundSlot[],
  { late, lengths }: Pick<MergeInput, 'late' | 'lengths'>,
  loss: number,
): Record<string, number> {
  const each = members.map(({ document: { slot, steps, metrics, files, fetched = 0 } }) => {
    const { loss, examplesPerSecond } = metrics;
    const upBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
    return { slot, figures: { loss, examplesPerSecond, upBytes, downBytes: fetched, ...(lengths && { steps }) } };
  });
  const sum = (name: 'upBytes' | 'downBytes') => each.reduce((total, { figures }) => total + figures[name], 0);
  const whole = {
    loss,
    members: members.length,
    late: late.length,
    upBytes: sum('upBytes'),
    downBytes: sum('downBytes'),
  };
  const ofRound = Object.entries(whole).map(([name, value]) => [`round/${name}`, value]);
  const ofSlots = each
    .filter(({ slot }) => slot < mostSlots)
    .flatMap(({ slot, figures }) => Object.entries(figures).map(([name, value]) => [`slot/${slot}/${name}`, value]));
  return Object.fromEntries([...ofRound, ...ofSlots]);
}

/** The figures of a round beside those of the steps, for TensorBoard and as a line of JSON. Again it is the same file. */
export function keepFiguresOfRound(
  store: ObjectStore,
  at: PhaseKey & { readonly revision: number; readonly step: number },
  figures: Readonly<Record<string, number>>,
): Promise<void> {
  return keepRound(store, at, [{ step: at.step, time: Date.now(), values: figures }]);
}
