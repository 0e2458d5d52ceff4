import { RunnerError } from '../runtime/errors.ts';
import { SafetensorsOutput } from '../safetensors/safetensors.ts';
import type { DeltaHead } from './layout.ts';
import { bufferAfter, type Outer, stepOf, valueAfter } from './outer.ts';
import { blockOf, type Numbers, piecesOf, type RoundParameter, rowsOf } from './parameters.ts';
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
  try {
    if (outer.momentum !== 0)
      buffers = await SafetensorsOutput.open(
        paths.momentum,
        parameters.map(({ name, shape }) => ({ name, shape, dtype: 'F32' })),
      );
    for (const parameter of writer.parameters)
      for (const { first, count } of piecesOf(parameter)) {
        const v = (await merging.momentum?.part(parameter.name, first, count)) ?? new Float32Array(count);
        await writer.write(parameter, first, await mergePiece(merging, members, parameter, first, count, v));
        await buffers?.write(parameter.name, new Uint8Array(v.buffer, v.byteOffset, v.byteLength));
      }
    const momentum = (await buffers?.finish()) ?? null;
    return { delta: await writer.finish(), momentum };
  } catch (error) {
    await writer.abandon();
    await buffers?.abandon();
    throw error;
  }
}

/** What is to be written of a piece; `v` is brought to what it is after the step. */
async function mergePiece(
  { before, outer }: Merging,
  members: readonly DeltaFile[],
  parameter: RoundParameter,
  first: number,
  count: number,
  v: Float32Array,
): Promise<Float64Array> {
  const asValues = members[0]!.head.exchange === 'f32';
  const block = parameter.byRow ? blockOf(parameter) : count;
  const { mean, touched } = await meanOf(members, parameter, first, count, block);
  const began = asValues ? await before.part(parameter.name, first, count) : null;
  for (let from = 0; from < count; from += block) {
    if (!touched[from / block]) continue;
    for (let i = from; i < Math.min(from + block, count); i++) {
      const change = began ? mean[i]! - began[i]! : mean[i]!;
      if (outer.momentum !== 0) v[i] = bufferAfter(outer, change, v[i]!);
      mean[i] = began ? valueAfter(outer, began[i]!, mean[i]!, v[i]!) : stepOf(outer, change, v[i]!);
    }
  }
  return mean;
}

/** The mean by examples of what members hold, each block over those that have it. */
async function meanOf(
  members: readonly DeltaFile[],
  parameter: RoundParameter,
  first: number,
  count: number,
  block: number,
): Promise<{ readonly mean: Float64Array; readonly touched: Uint8Array }> {
  const blocks = Math.ceil(count / block);
  const has = ({ rows }: DeltaFile, k: number) => rows.get(parameter.name)?.has(first / block + k) ?? true;
  const weights = new Float64Array(blocks);
  for (const member of members)
    for (let k = 0; k < blocks; k++) if (has(member, k)) weights[k]! += member.head.examples;
  const mean = new Float64Array(count);
  const own = new Float64Array(count);
  const touched = new Uint8Array(blocks);
  for (const member of members) {
    await member.read(parameter, first, count, own);
    for (let k = 0; k < blocks; k++) {
      if (!has(member, k)) continue;
      // A lone member weighs exactly 1.
      const weight = member.head.examples / weights[k]!;
      const end = Math.min((k + 1) * block, count);
      // Not added to zero: minus zero would be lost.
      if (touched[k]) for (let i = k * block; i < end; i++) mean[i]! += weight * own[i]!;
      else for (let i = k * block; i < end; i++) mean[i] = weight * own[i]!;
      touched[k] = 1;
    }
  }
  return { mean, touched };
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
