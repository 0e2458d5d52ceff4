import { RunnerError } from '../runtime/errors.ts';
import { SafetensorsFile, type TensorParts } from '../safetensors/safetensors.ts';
import { blockBytes, type Coded } from './exchange.ts';
import { type DeltaHead, deltaTensors, readHead, rowsTensor } from './layout.ts';
import { PackedBlock, unpackBfloat16, unpackFloat32 } from './pack.ts';
import { blockOf, lengthOf, type RoundParameter, rowsOf } from './parameters.ts';
import { Room } from './room.ts';
import { RowSet } from './rows.ts';

/** A file of changes, open for reading in pieces. */
export class DeltaFile {
  readonly path: string;
  readonly head: DeltaHead;
  /** Of each table the rows that are there. */
  readonly rows: ReadonlyMap<string, RowSet>;
  readonly #file: TensorParts;
  readonly #packed = new Room();

  private constructor(path: string, head: DeltaHead, rows: ReadonlyMap<string, RowSet>, file: TensorParts) {
    this.path = path;
    this.head = head;
    this.rows = rows;
    this.#file = file;
  }

  /** CheckpointDamaged where it is not of exactly these parameters. */
  static async open(path: string, parameters: readonly RoundParameter[]): Promise<DeltaFile> {
    return DeltaFile.of(await SafetensorsFile.open(path), parameters);
  }

  /** The same of a file that lies elsewhere. */
  static async of(file: TensorParts, parameters: readonly RoundParameter[]): Promise<DeltaFile> {
    const { path } = file;
    try {
      const head = readHead(file.metadata);
      if (!head) throw damaged(path, 'its metadata are not those of the changes of a round');
      const rows = new Map<string, RowSet>();
      for (const table of parameters.filter(({ byRow }) => byRow)) {
        const name = rowsTensor(table.name);
        const bits = await file.readPart(name, 0, file.info(name).bytes);
        if (!RowSet.fits(rowsOf(table), bits))
          throw damaged(path, `${rowsTensor(table.name)} is not of the ${rowsOf(table)} rows of ${table.name}`);
        rows.set(table.name, new RowSet(rowsOf(table), bits));
      }
      const counts = new Map([...rows].map(([name, set]) => [name, set.count()]));
      const wanted = deltaTensors(head.exchange, parameters, counts);
      for (const { name, dtype, shape } of wanted) {
        const info = file.info(name);
        if (info.dtype !== dtype || info.shape.join() !== shape.join())
          throw damaged(path, `${name} is ${info.dtype} [${info.shape}], and ${dtype} [${shape}] is wanted`);
      }
      const names = new Set(wanted.map(({ name }) => name));
      const other = [...file.tensors.keys()].find((name) => !names.has(name));
      if (other !== undefined) throw damaged(path, `it has ${JSON.stringify(other)}, which this phase does not train`);
      return new DeltaFile(path, head, rows, file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * A piece of whole blocks into `out`, from its start: differences, or in f32 values. Of a table only the rows that are
   * there; what is at the places of others stays. One at a time of a file.
   */
  async read(parameter: RoundParameter, first: number, count: number, out: Float64Array): Promise<void> {
    const { exchange } = this.head;
    await this.#eachBlock(parameter, first, count, (view, at, size, to) => {
      if (exchange === 'bf16') unpackBfloat16(view, at, size, out, to);
      else if (exchange === 'f32') unpackFloat32(view, at, size, out, to);
      else {
        const block = new PackedBlock(exchange, view, at, size);
        for (let i = 0; i < size; i++) out[to + i] = block.change(i);
      }
    });
  }

  /** The same in codes, block by block, with the place of each in the piece. */
  async readBlocks(
    coded: Coded,
    parameter: RoundParameter,
    first: number,
    count: number,
    use: (block: PackedBlock, to: number) => void,
  ): Promise<void> {
    await this.#eachBlock(parameter, first, count, (view, at, size, to) =>
      use(new PackedBlock(coded, view, at, size), to),
    );
  }

  async #eachBlock(
    parameter: RoundParameter,
    first: number,
    count: number,
    use: (packed: DataView, at: number, size: number, to: number) => void,
  ): Promise<void> {
    const { exchange } = this.head;
    const block = blockOf(parameter);
    const rows = this.rows.get(parameter.name) ?? null;
    const end = Math.min(first + count, lengthOf(parameter));
    const blocksBefore = rows ? rows.count(first / block) : first / block;
    const offset = blocksBefore * blockBytes(exchange, block);
    let bytes = 0;
    for (let i = first; i < end; i += block)
      if (!rows || rows.has(i / block)) bytes += blockBytes(exchange, Math.min(block, end - i));
    const packed = await this.#file.readPart(parameter.name, offset, bytes, this.#packed.bytes(bytes));
    const view = new DataView(packed.buffer);
    let at = 0;
    for (let i = first; i < end; i += block) {
      if (rows && !rows.has(i / block)) continue;
      const size = Math.min(block, end - i);
      use(view, at, size, i - first);
      at += blockBytes(exchange, size);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

const damaged = (path: string, problem: string) =>
  new RunnerError('CheckpointDamaged', `${path} does not hold the changes of a round: ${problem}; fetch it again`);
