import { RunnerError } from '../runtime/errors.ts';
import { SafetensorsOutput } from '../safetensors/safetensors.ts';
import { isCoded } from './exchange.ts';
import type { DeltaHead } from './layout.ts';
import { PieceMemory, wholeVectors } from './memory.ts';
import { bufferAfter, type Outer, stepOf, valueAfter } from './outer.ts';
import { blockOf, type Numbers, piecesOf, type RoundParameter, readInto, rowsOf } from './parameters.ts';
import type { DeltaFile } from './read-delta.ts';
import { RowSet } from './rows.ts';
import { DeltaWriter, type WrittenDelta } from './write-delta.ts';

export interface Merging {
  readonly parameters: readonly RoundParameter[];
  /** Where the round began. */
  readonly before: Numbers;
  /** Members of the round in any order: slots are what they are added by. */
  readonly members: readonly DeltaFile[];
  readonly outer: Outer;
  /** Buffers of the outer step, by the names of parameters; null before the first round, and without momentum. */
  readonly momentum: Numbers | null;
}

export interface Merged {
  readonly delta: WrittenDelta;
  /** Of the buffers after the step; null without momentum. */
  readonly momentum: { readonly bytes: number; readonly sha256: string } | null;
}

/**
 * Merges the changes of a round into one: the mean by examples, over those that touched a row where a table has rows
 * (FedSubAvg, arXiv 2109.07704), then the outer step, then one rounding to the exchange of the members. Sums are in f64 from the
 * lowest slot on, so the bytes are a pure function of who was in. A row that nobody touched stays, and its buffer waits.
 *
 * Held at once: a piece of 256k numbers of one member, of the buffers, and of the sum. Errors: RecipeInvalid for members
 * that don't belong together; NonFinite.
 */
export async function mergeDeltas(
  paths: { readonly delta: string; readonly momentum: string },
  merging: Merging,
): Promise<Merged> {
  const { parameters, outer } = merging;
  const members = inOrder(merging.members);
  const head: DeltaHead = { ...members[0]!.head, from: 'merged', examples: sumOf(members) };
  const tables = parameters.filter(({ byRow }) => byRow);
  const rows = new Map(tables.map((table) => [table.name, touchedBy(members, table)]));
  const writer = await DeltaWriter.open(paths.delta, head, parameters, rows);
  let buffers: SafetensorsOutput | null = null;
  const piece = PieceMemory.take();
  try {
    if (outer.momentum !== 0)
      buffers = await SafetensorsOutput.open(
        paths.momentum,
        parameters.map(({ name, shape }) => ({ name, shape, dtype: 'F32' })),
      );
    for (const parameter of writer.parameters)
      for (const { first, count } of piecesOf(parameter)) {
        piece.lay(count);
        if (merging.momentum) await readInto(piece.old, merging.momentum, parameter.name, first);
        else piece.old.fill(0);
        await mergePiece(merging, members, parameter, first, count, piece);
        await writer.write(parameter, first, piece);
        await buffers?.write(parameter.name, piece.bytes(piece.oldAt(0), 4 * count));
      }
    const momentum = (await buffers?.finish()) ?? null;
    return { delta: await writer.finish(), momentum };
  } catch (error) {
    await writer.abandon();
    await buffers?.abandon();
    throw error;
  } finally {
    piece.giveBack();
  }
}

/** Makes what is to be written of a piece its values, and brings buffers, its old numbers, to what they are after the step. */
async function mergePiece(
  { before, outer }: Merging,
  members: readonly DeltaFile[],
  parameter: RoundParameter,
  first: number,
  count: number,
  piece: PieceMemory,
): Promise<void> {
  const block = parameter.byRow ? blockOf(parameter) : count;
  const touched = await addMembers(members, parameter, first, count, block, piece);
  const { values, old: v, now: began } = piece;
  const asValues = members[0]!.head.exchange === 'f32';
  if (asValues) await readInto(began, before, parameter.name, first);
  for (let from = 0; from < count; from += block) {
    if (!touched[from / block]) continue;
    const end = Math.min(from + block, count);
    if (!asValues) stepBlock(outer, piece, from, end);
    else
      for (let i = from; i < end; i++) {
        if (outer.momentum !== 0) v[i] = bufferAfter(outer, values[i]! - began[i]!, v[i]!);
        values[i] = valueAfter(outer, began[i]!, values[i]!, v[i]!);
      }
  }
}

/** The outer step of the changes of a piece, in their place. */
export function stepBlock(outer: Outer, piece: PieceMemory, from: number, end: number): void {
  const { rate, momentum, nesterov = true } = outer;
  const { values, old: v } = piece;
  const whole = momentum === 0 ? 0 : wholeVectors(end - from);
  if (whole > 0) {
    const run = nesterov ? piece.run.stepNesterov : piece.run.stepMomentum;
    run(piece.valueAt(from), 8 * whole, piece.oldAt(from), nesterov ? rate : -rate, momentum);
  }
  for (let i = from + whole; i < end; i++) {
    if (momentum !== 0) v[i] = bufferAfter(outer, values[i]!, v[i]!);
    values[i] = stepOf(outer, values[i]!, v[i]!);
  }
}

/**
 * Makes the mean by examples of what members hold the values of a piece, each block over those that have it; tells which any
 * has.
 */
async function addMembers(
  members: readonly DeltaFile[],
  parameter: RoundParameter,
  first: number,
  count: number,
  block: number,
  piece: PieceMemory,
): Promise<Uint8Array> {
  const blocks = Math.ceil(count / block);
  const has = ({ rows }: DeltaFile, k: number) => rows.get(parameter.name)?.has(first / block + k) ?? true;
  const weights = new Float64Array(blocks);
  for (const member of members)
    for (let k = 0; k < blocks; k++) if (has(member, k)) weights[k]! += member.head.examples;
  const { values } = piece;
  const touched = new Uint8Array(blocks);
  const { exchange } = members[0]!.head;
  const own = isCoded(exchange) ? null : new Float64Array(count);
  for (const member of members) {
    // A lone member weighs exactly 1.
    const weightOf = (k: number) => member.head.examples / weights[k]!;
    if (isCoded(exchange))
      await member.readBlocks(exchange, parameter, first, count, (packed, to) => {
        const k = Math.floor(to / block);
        packed.weigh(weightOf(k), piece, to, touched[k] === 1);
      });
    else await member.read(parameter, first, count, own!);
    for (let k = 0; k < blocks; k++) {
      if (!has(member, k)) continue;
      const end = Math.min((k + 1) * block, count);
      const weight = weightOf(k);
      // Not added to zero: minus zero would be lost.
      if (own && touched[k]) for (let i = k * block; i < end; i++) values[i]! += weight * own[i]!;
      else if (own) for (let i = k * block; i < end; i++) values[i] = weight * own[i]!;
      touched[k] = 1;
    }
  }
  return touched;
}

function touchedBy(members: readonly DeltaFile[], table: RoundParameter): RowSet {
  const all = new RowSet(rowsOf(table));
  for (const { rows } of members) all.addAll(rows.get(table.name)!);
  return all;
}

const sumOf = (members: readonly DeltaFile[]) => members.reduce((sum, { head }) => sum + head.examples, 0);

/** By slot, checked to be of one round. */
function inOrder(members: readonly DeltaFile[]): DeltaFile[] {
  const sorted = [...members].sort((a, b) => Number(a.head.from) - Number(b.head.from));
  const wrong = (problem: string) =>
    new RunnerError('RecipeInvalid', `these changes can't be merged: ${problem}; give those of one round, one a slot`);
  const [one] = sorted;
  if (!one) throw wrong('there are none');
  for (const [i, { path, head }] of sorted.entries()) {
    if (head.from === 'merged') throw wrong(`${path} is merged already`);
    if (i > 0 && head.from === sorted[i - 1]!.head.from) throw wrong(`slot ${head.from} is there twice`);
    if (!(head.examples > 0)) throw wrong(`slot ${head.from} has ${head.examples} examples`);
    for (const field of ['exchange', 'seed', 'round'] as const)
      if (head[field] !== one.head[field])
        throw wrong(`slot ${head.from} has the ${field} ${head[field]}, and slot ${one.head.from} ${one.head[field]}`);
  }
  return sorted;
}
