import { RunnerError } from '../runtime/errors.ts';
import { writeSafetensors } from '../safetensors/safetensors.ts';
import { isCoded } from './exchange.ts';
import { PieceMemory, wholeVectors } from './memory.ts';
import { blockOf, type Numbers, piecesOf, type RoundParameter, readInto } from './parameters.ts';
import type { DeltaFile } from './read-delta.ts';

/**
 * A parameter after a round, in pieces of f32, each written over by the next: before + change, added in f64 and rounded once. This
 * defines it: whoever holds what the round began from and the merged change gets the same bytes. A row that is not there stays as it
 * was. NonFinite where f32 can't hold what comes of it.
 */
export async function* applied(
  parameter: RoundParameter,
  before: Numbers,
  delta: DeltaFile,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const piece = PieceMemory.take();
  try {
    for (const { first, count } of piecesOf(parameter)) {
      piece.lay(count);
      await readInto(piece.now, before, parameter.name, first);
      await change(piece, parameter, first, count, delta);
      if (!allFinite(piece)) throw beyond(delta, parameter, first);
      yield new Uint8Array(piece.now.buffer, piece.now.byteOffset, piece.now.byteLength);
    }
  } finally {
    piece.giveBack();
  }
}

async function change(piece: PieceMemory, parameter: RoundParameter, first: number, count: number, delta: DeltaFile) {
  const { exchange } = delta.head;
  if (isCoded(exchange))
    return delta.readBlocks(exchange, parameter, first, count, (block, to) => block.apply(piece, to));
  const { now, values } = piece;
  const rows = delta.rows.get(parameter.name) ?? null;
  await delta.read(parameter, first, count, values);
  const block = rows ? blockOf(parameter) : count;
  for (let from = 0; from < count; from += block) {
    if (rows && !rows.has((first + from) / block)) continue;
    const end = Math.min(from + block, count);
    if (exchange === 'f32') for (let i = from; i < end; i++) now[i] = values[i]!;
    else for (let i = from; i < end; i++) now[i]! += values[i]!;
  }
}

/** Whether a piece has no infinite number now, and none that is none. */
export function allFinite(piece: PieceMemory): boolean {
  const { now } = piece;
  const whole = wholeVectors(now.length);
  let finite = 0;
  if (whole > 0) {
    piece.run.finite(piece.nowAt(0), 4 * whole, piece.packedAt);
    for (const one of piece.floats(piece.packedAt, 4)) finite += one;
  }
  for (let i = whole; i < now.length; i++) finite += now[i]! - now[i]!;
  return finite === 0;
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
  return writeSafetensors(
    path,
    parameters.map((parameter) => ({
      name: parameter.name,
      dtype: 'F32',
      shape: parameter.shape,
      data: () => applied(parameter, before, delta),
    })),
  );
}
