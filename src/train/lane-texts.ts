import type { Program } from '../compile/program.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { textBank } from '../objectives/text-bank.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { rowsOfSlot } from '../recipe/text-bank.ts';
import { computedState } from './phase-state.ts';

/** The rows of a bank that a lane will leave. */
export interface LaneTexts {
  /** Takes the texts of the step that was just made: rows of length one. */
  add(texts: Float32Array): void;
  /** Writes what the lane leaves into the state. */
  leave(): void;
}

/**
 * Takes the rows of a slot out of the bank while its lane is trained: negatives are texts of others. It leaves texts of its last
 * steps, of the newest first; a lane that was cut short keeps of the round before what there is room for. Null without a bank.
 *
 * @param program with the state that the lane begins with
 */
export function laneTexts(
  program: Pick<Program, 'read' | 'write'>,
  { objectives: { sigmoid }, model }: PhaseSettings,
  slot: number,
): LaneTexts | null {
  if (!sigmoid?.bank) return null;
  const key = computedState(textBank);
  const width = embeddingWidth(model);
  const { first, end } = rowsOfSlot(sigmoid.bank, slot);
  const all = Float32Array.from(program.read([key])[key]!);
  const own = all.subarray(first * width, end * width);
  const left = new Float32Array(sigmoid.bank.rows * width);
  left.set(own.subarray(0, left.length));
  // Of more rows, when there were fewer replicas or longer rounds, nothing stays.
  own.fill(0);
  program.write({ [key]: all });
  return {
    add(texts) {
      const newest = texts.subarray(0, left.length);
      left.copyWithin(newest.length, 0);
      left.set(newest);
    },
    leave() {
      own.set(left);
      program.write({ [key]: all });
    },
  };
}
