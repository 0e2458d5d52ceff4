import { RunnerError } from '../runtime/errors.ts';
import { inFileOrder, SafetensorsOutput } from '../safetensors/safetensors.ts';
import { blockBytes, isCoded, packedBytes } from './exchange.ts';
import { type DeltaHead, deltaMetadata, deltaTensors, rowsTensor } from './layout.ts';
import { PieceMemory, wholeVectors } from './memory.ts';
import { packBfloat16, packBlock, packFloat32 } from './pack.ts';
import { blockOf, type Numbers, piecesOf, type RoundParameter, readInto, rowsOf } from './parameters.ts';
import { Room } from './room.ts';
import { roundingKeys } from './rounding.ts';
import { RowSet } from './rows.ts';

export interface WrittenDelta {
  readonly bytes: number;
  readonly sha256: string;
  /** How many rows of each table are there. */
  readonly rows: Readonly<Record<string, number>>;
}

/** A file of changes, written piece by piece. One of `finish` and `abandon` is to be called. */
export class DeltaWriter {
  /** In the order in which they are to be written. */
  readonly parameters: readonly RoundParameter[];
  readonly #head: DeltaHead;
  readonly #rows: ReadonlyMap<string, RowSet>;
  readonly #output: SafetensorsOutput;
  /** Tensors of row bits that are still to come, by what must come before them. */
  readonly #order: string[];
  readonly #packed = new Room();

  private constructor(
    head: DeltaHead,
    parameters: readonly RoundParameter[],
    rows: ReadonlyMap<string, RowSet>,
    order: string[],
    output: SafetensorsOutput,
  ) {
    const places = new Map(order.map((name, i) => [name, i]));
    this.parameters = [...parameters].sort((a, b) => places.get(a.name)! - places.get(b.name)!);
    this.#head = head;
    this.#rows = rows;
    this.#order = order;
    this.#output = output;
  }

  /** @param rows those that are there of each table, by its name */
  static async open(
    path: string,
    head: DeltaHead,
    parameters: readonly RoundParameter[],
    rows: ReadonlyMap<string, RowSet>,
  ): Promise<DeltaWriter> {
    const counts = new Map([...rows].map(([name, set]) => [name, set.count()]));
    const tensors = deltaTensors(head.exchange, parameters, counts);
    const order = inFileOrder(tensors).map(({ name }) => name);
    const output = await SafetensorsOutput.open(path, tensors, deltaMetadata(head));
    return new DeltaWriter(head, parameters, rows, order, output);
  }

  /**
   * The values of the next piece: differences, or in f32 the values themselves; of a table the rows that are not there are passed
   * over.
   */
  async write(parameter: RoundParameter, first: number, piece: PieceMemory): Promise<void> {
    const { values } = piece;
    const { exchange, seed, round, from } = this.#head;
    const { name } = parameter;
    await this.#writeRowsUntil(name);
    const keys = roundingKeys(seed, round, from, name);
    const block = blockOf(parameter);
    const rows = parameter.byRow ? this.#rows.get(name)! : null;
    const here = rows ? rows.count((first + values.length) / block) - rows.count(first / block) : 0;
    const out = this.#packed.bytes(packedBytes(exchange, rows ? here * block : values.length, block));
    const view = new DataView(out.buffer);
    let at = 0;
    for (let i = 0; i < values.length; i += block) {
      if (rows && !rows.has((first + i) / block)) continue;
      const count = Math.min(block, values.length - i);
      const packing = { first: first + i, keys };
      const good = isCoded(exchange)
        ? packBlock(exchange, piece, i, count, packing, view, at)
        : exchange === 'bf16'
          ? packBfloat16(values, i, count, packing, view, at)
          : packFloat32(values, i, count, view, at);
      if (!good) throw notFinite(this.#head, parameter, first + i);
      at += blockBytes(exchange, count);
    }
    await this.#output.write(name, out);
  }

  async finish(): Promise<WrittenDelta> {
    await this.#writeRowsUntil(null);
    const rows = Object.fromEntries([...this.#rows].map(([name, set]) => [name, set.count()]));
    return { ...(await this.#output.finish()), rows };
  }

  abandon(): Promise<void> {
    return this.#output.abandon();
  }

  async #writeRowsUntil(name: string | null): Promise<void> {
    while (this.#order.length > 0 && this.#order[0] !== name) {
      const next = this.#order.shift()!;
      const table = this.parameters.find((one) => one.byRow && rowsTensor(one.name) === next);
      if (table) await this.#output.write(next, this.#rows.get(table.name)!.bits);
    }
  }
}

function notFinite({ round, from, exchange }: DeltaHead, { name }: RoundParameter, place: number): RunnerError {
  const who = from === 'merged' ? 'what is merged' : `the change of slot ${from}`;
  return new RunnerError(
    'NonFinite',
    `round ${round}: ${who} in ${name} holds a number that is infinite, none, or beyond ${exchange}, from place ${place} on; nothing of it is kept`,
    { details: { round, from, parameter: name } },
  );
}

/** What a replica hands in. */
export interface Replica {
  /** Where the round began. */
  readonly before: Numbers;
  /** Where it ended. */
  readonly after: Numbers;
  /** The rows that it trained of a table, by its name; where a table has none here, those that changed by a bit. */
  readonly touched?: ReadonlyMap<string, RowSet> | undefined;
}

/**
 * Writes what a replica changed in a round. Bytes are a pure function of the head and of the numbers. A piece of a parameter
 * is held at once. NonFinite, naming the parameter, where a number can't be exchanged; then there is no file.
 */
export async function writeDelta(
  path: string,
  head: DeltaHead,
  parameters: readonly RoundParameter[],
  { before, after, touched }: Replica,
): Promise<WrittenDelta> {
  const rows = new Map<string, RowSet>();
  for (const table of parameters.filter(({ byRow }) => byRow))
    rows.set(table.name, touched?.get(table.name) ?? (await changedRows(table, before, after)));
  const writer = await DeltaWriter.open(path, head, parameters, rows);
  const piece = PieceMemory.take();
  try {
    for (const parameter of writer.parameters)
      for (const { first, count } of piecesOf(parameter)) {
        piece.lay(count);
        await readInto(piece.now, after, parameter.name, first);
        if (head.exchange === 'f32') piece.values.set(piece.now);
        else {
          await readInto(piece.old, before, parameter.name, first);
          takeDifference(piece);
        }
        await writer.write(parameter, first, piece);
      }
    return await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  } finally {
    piece.giveBack();
  }
}

/** The values of a piece: what is now less what was. */
export function takeDifference(piece: PieceMemory): void {
  const { values, now, old } = piece;
  const whole = wholeVectors(values.length);
  if (whole > 0) piece.run.subtract(piece.nowAt(0), 4 * whole, piece.oldAt(0), piece.valueAt(0));
  for (let i = whole; i < values.length; i++) values[i] = now[i]! - old[i]!;
}

/** The rows that have another bit: zero and minus zero are not the same. */
async function changedRows(table: RoundParameter, before: Numbers, after: Numbers): Promise<RowSet> {
  const rows = new RowSet(rowsOf(table));
  const width = blockOf(table);
  const rooms = [new Room(), new Room()] as const;
  for (const { first, count } of piecesOf(table)) {
    const old = bitsOf(await before.part(table.name, first, count, rooms[0]));
    const now = bitsOf(await after.part(table.name, first, count, rooms[1]));
    for (let i = 0; i < count; i++) {
      if (old[i] === now[i]) continue;
      const row = Math.floor(i / width);
      rows.add(first / width + row);
      i = (row + 1) * width - 1;
    }
  }
  return rows;
}

const bitsOf = ({ buffer, byteOffset, length }: Float32Array) => new Uint32Array(buffer, byteOffset, length);
