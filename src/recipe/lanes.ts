/** How the steps of a round are shared among its slots. Pure functions of where the round begins and ends. */

/** Steps of a phase that are trained at once by several replicas: those after `from` up to `to`. */
export interface RoundSpan {
  readonly from: number;
  readonly to: number;
  /** Replicas that share them; each has a slot, from 0. */
  readonly slots: number;
  /** Steps of each lane, where they are not alike: one or more each, and all together those of the round. */
  readonly lengths?: readonly number[] | undefined;
}

/** What one slot trains on in a round: steps of the phase that follow one another. */
export interface Lane {
  readonly slot: number;
  /** Of the batches of the phase, by the steps that they would be trained in without replicas: the first one. */
  readonly first: number;
  readonly steps: number;
  /** Of the round. */
  readonly from: number;
  readonly to: number;
}

/**
 * The lanes of a round. A lane is a stretch of the order of the data and not every so manyth batch of it: so a worker
 * reads the parts of shards of its own stretch alone. A round that is cut short has lanes that differ by a step, and
 * where it has less steps than slots it has so many lanes.
 */
export function lanesOf({ from, to, slots, lengths = alike(to - from, slots) }: RoundSpan): Lane[] {
  const lanes: Lane[] = [];
  let first = from + 1;
  for (const [slot, own] of lengths.entries()) {
    lanes.push({ slot, first, steps: own, from, to });
    first += own;
  }
  return lanes;
}

function alike(steps: number, slots: number): number[] {
  const [each, more] = [Math.floor(steps / slots), steps % slots];
  return Array.from({ length: Math.min(slots, steps) }, (_, slot) => each + (slot < more ? 1 : 0));
}

/**
 * The step of the phase whose place on the schedule a step of a lane has, from 0: all lanes go through the round at once,
 * so each goes from its beginning to its end, a long one in smaller strides than a short one. Of a round with one slot it is the step itself.
 */
export function placeOf({ from, to, steps }: Lane, step: number): number {
  return from + 1 + Math.floor((step * (to - from)) / steps);
}

/** Where the round after a step ends: the steps of all slots later, at a branch, or at the end of the phase. */
export function roundEnd(step: number, size: number, last: number, branches: readonly number[]): number {
  return Math.min(step + size, last, ...branches.filter((branch) => branch > step));
}
