import type { Values } from '../compile/definition.ts';
import { collectGarbage } from '../runtime/collect-garbage.ts';

/** Pieces of state by their names, as `Program.read` gives them. */
export type ReadPieces = (names: readonly string[]) => Values;

/** Pieces one by one would each have TensorFlow plan a call of their own, which takes longer than to copy them. */
const smallestGroup = 64 * 2 ** 20;

/**
 * Reads pieces in groups, in the order in which they will be asked for, and holds one group at a time: no more of the
 * state exists twice than 64 MiB, or its largest piece where that is larger.
 *
 * @param ordered names with the bytes of each
 */
export function readInOrder(
  ordered: readonly (readonly [name: string, bytes: number])[],
  read: ReadPieces,
): (name: string) => Values[string] {
  const groupBytes = Math.max(smallestGroup, ...ordered.map(([, bytes]) => bytes));
  const groups: string[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const [name, bytes] of ordered) {
    if (size + bytes > groupBytes) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)!.push(name);
    size += bytes;
  }
  const groupOf = new Map(groups.flatMap((group) => group.map((name) => [name, group] as const)));
  let held: Values = {};
  return (name) => {
    if (held[name] === undefined) {
      held = {};
      // The arrays lie outside the heap that Node watches.
      if (name !== groups[0]![0]) collectGarbage();
      held = read(groupOf.get(name)!);
    }
    return held[name]!;
  };
}
