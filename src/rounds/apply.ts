import { RunnerError } from '../runtime/errors.ts';
import { writeSafetensors } from '../safetensors/safetensors.ts';
import { blockOf, type Numbers, piecesOf, type RoundParameter } from './parameters.ts';
import type { DeltaFile } from './read-delta.ts';
import { Room } from './room.ts';

/** What is held of one parameter after another while a round is applied. */
export const appliedRooms = () => ({ numbers: new Room(), change: new Room() });

/**
 * A parameter after a round, in pieces of f32, each written over by the next: before + change, added in f64 and rounded once. This
 * defines it: whoever holds what the round began from and the merged change gets the same bytes. A row that is not there stays as it
 * was. NonFinite where f32 can't hold what comes of it.
 */
export async function* applied(
  parameter: RoundParameter,
  before: Numbers,
  delta: DeltaFile,
  rooms = appliedRooms(),
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const rows = delta.rows.get(parameter.name) ?? null;
  for (const { first, count } of piecesOf(parameter)) {
    const next = await before.part(parameter.name, first, count, rooms.numbers);
    const change = rooms.change.doubles(count);
    await delta.read(parameter, first, count, change);
    const block = rows ? blockOf(parameter) : count;
    let finite = 0;
    for (let from = 0; from < count; from += block) {
      if (rows && !rows.has((first + from) / block)) continue;
      const end = Math.min(from + block, count);
      if (delta.head.exchange === 'f32') for (let i = from; i < end; i++) next[i] = change[i]!;
      else for (let i = from; i < end; i++) next[i]! += change[i]!;
    }
    for (let i = 0; i < count; i++) finite += next[i]! - next[i]!;
    if (finite !== 0) throw beyond(delta, parameter, first);
    yield new Uint8Array(next.buffer, next.byteOffset, next.byteLength);
  }
}

const beyond = ({ head: { round } }: DeltaFile, { name }: RoundParameter, place: number) =>
  new RunnerError(
    'NonFinite',
    `round ${round}: ${name} would hold a number that is infinite or none after it, from place ${place} on; nothing of it is kept`,
    { details: { round, parameter: name } },
  );

/** Writes all of these parameters as they are after a round. */
export function writeApplied(
  path: string,
  parameters: readonly RoundParameter[],
  before: Numbers,
  delta: DeltaFile,
): Promise<{ bytes: number; sha256: string }> {
  const rooms = appliedRooms();
  return writeSafetensors(
    path,
    parameters.map((parameter) => ({
      name: parameter.name,
      dtype: 'F32',
      shape: parameter.shape,
      data: () => applied(parameter, before, delta, rooms),
    })),
  );
}
