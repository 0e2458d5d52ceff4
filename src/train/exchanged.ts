import { textBank } from '../objectives/text-bank.ts';
import { firstMoment, isMoment, secondMoment, startCopy } from '../optimiser/optimiser.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { Replicas } from '../recipe/replicas.ts';
import { trainedSettings } from '../recipe/trained-settings.ts';
import { type Numbers, type RoundParameter, roundParameters } from '../rounds/parameters.ts';
import { Room } from '../rounds/room.ts';
import type { PlacedTensor, RoundState } from '../rounds/state.ts';
import { computedState, phaseState } from './phase-state.ts';

/** What becomes of each tensor of a state in a round. */
export interface Exchanged {
  /** Trained parameters: their changes go by the outer step. */
  readonly parameters: readonly RoundParameter[];
  /** What is averaged as it is: moments where these are, teachers and what objectives compute. */
  readonly others: readonly RoundParameter[];
  /** Of parameters whose moments are not averaged. */
  readonly moments: readonly RoundParameter[];
  /** Goes along as one replica has it: counts of updates, a choice that waits for its step, the tokens of the tables. */
  isBeside(name: string): boolean;
}

/** Rows of tokens that the phase does not train: they stay as they are. */
const isKept = ({ name }: Pick<PlacedTensor, 'name'>) => name.startsWith('kept/');

/**
 * @param state of the phase: its files say the shapes, in which a table has the rows of tokens that are not trained too; none
 * before there is one
 */
export function exchangedOf(
  settings: PhaseSettings,
  { moments }: Pick<Replicas, 'moments'>,
  state: { readonly tensors: ReadonlyMap<string, Pick<PlacedTensor, 'shape'>> },
): Exchanged {
  const { parameters: all, frozen, anchored, computed, pieces } = phaseState(trainedSettings(settings));
  const parameters = all.filter(({ name }) => !frozen.has(name));
  // What no replica changes is not sent: it is taken from the state before.
  const unchanged = new Set([...frozen, ...anchored.map(({ name }) => startCopy(name))]);
  const shapeOf = (name: string) => state.tensors.get(name)?.shape ?? pieces[name]!.shape;
  const byRow = new Set(parameters.filter((one) => one.byToken).map(({ name }) => name));
  // Of rows that one slot wrote the mean is what that wrote, and those of a slot that is late stay.
  for (const { name, bySlot } of computed) if (bySlot) byRow.add(computedState(name));
  const trained = new Set(parameters.map(({ name }) => name));
  const momentsOf = new Map(
    parameters.flatMap(({ name }) => [firstMoment(name), secondMoment(name)].map((moment) => [moment, name] as const)),
  );
  const rounds = (names: readonly string[]) =>
    roundParameters(
      names.map((name) => ({
        name,
        shape: shapeOf(name),
        ...(byRow.has(momentsOf.get(name) ?? name) && { byToken: true as const }),
      })),
    );
  const rest = Object.keys(pieces).filter((name) => !trained.has(name) && !unchanged.has(name));
  const averaged = moments === 'averaged' ? rest : rest.filter((name) => !momentsOf.has(name));
  return {
    parameters: rounds([...trained]),
    others: rounds(averaged),
    moments: moments === 'averaged' ? [] : rounds([...momentsOf.keys()]),
    isBeside: (name) => pieces[name] === undefined && !isKept({ name }),
  };
}

/**
 * Of the state that a round begins with. A bank that there was none of, since there was one replica, is empty, and moments that
 * the round before left out are zero.
 */
export const numbersBefore = ({ tensors, numbers }: RoundState): Numbers => ({
  part: async (name, first, count, room = new Room()) =>
    !tensors.has(name) && (name === computedState(textBank) || isMoment(name))
      ? room.floats(count).fill(0)
      : numbers.part(name, first, count, room),
});
