import type { SafetensorsFile } from '../safetensors/safetensors.ts';
import { blockSize } from './exchange.ts';
import { Room } from './room.ts';

/** A parameter as a round exchanges it. */
export interface RoundParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Its rows are tokens: a row that was not touched is left out, and each row has a scale of its own. */
  readonly byRow: boolean;
}

/** Where numbers that are read are to lie. */
export interface FloatRoom {
  floats(count: number): Float32Array<ArrayBuffer>;
}

/** Where the numbers of parameters lie, in f32. */
export interface Numbers {
  /** `count` of them from place `first` on; the array is the caller's, or lies in `room`. */
  part(name: string, first: number, count: number, room?: FloatRoom): Promise<Float32Array<ArrayBuffer>>;
}

/** As many as `into` has, from place `first` on, into it. */
export async function readInto(
  into: Float32Array<ArrayBuffer>,
  numbers: Numbers,
  name: string,
  first: number,
): Promise<void> {
  const read = await numbers.part(name, first, into.length, { floats: () => into });
  if (read !== into) into.set(read);
}

/** The numbers of a safetensors file. */
export const numbersOf = (file: SafetensorsFile): Numbers => numbersFrom(() => file);

/** Those of several, of which each tensor lies in one. */
export const numbersFrom = (fileOf: (name: string) => SafetensorsFile): Numbers => ({
  async part(name, first, count, room = new Room()) {
    const numbers = room.floats(count);
    await fileOf(name).readPart(
      name,
      4 * first,
      4 * count,
      new Uint8Array(numbers.buffer, numbers.byteOffset, 4 * count),
    );
    return numbers;
  },
});

export const lengthOf = ({ shape }: RoundParameter) => shape.reduce((a, b) => a * b, 1);
/** Numbers of all of them. */
export const numbersIn = (parameters: readonly RoundParameter[]) =>
  parameters.reduce((sum, parameter) => sum + lengthOf(parameter), 0);
export const rowsOf = ({ shape }: RoundParameter) => shape[0] ?? 1;

/** Numbers under one scale. */
export function blockOf(parameter: RoundParameter): number {
  return parameter.byRow ? lengthOf(parameter) / Math.max(1, rowsOf(parameter)) : blockSize;
}

/** Numbers that are held of a parameter at once: a megabyte of each of the files that take part. */
const heldNumbers = 256 * 1024;

/** A parameter in pieces of whole blocks, in order: `first` and `count` in numbers. */
export function* piecesOf(parameter: RoundParameter): Generator<{ readonly first: number; readonly count: number }> {
  const length = lengthOf(parameter);
  const block = blockOf(parameter);
  const size = block * Math.max(1, Math.floor(heldNumbers / Math.max(1, block)));
  for (let first = 0; first < length; first += size) yield { first, count: Math.min(size, length - first) };
}

/** A parameter as the state of a phase has it, of which rows may be tokens (`ParameterSpec`). */
interface Trained {
  readonly name: string;
  readonly shape: readonly number[];
  readonly byToken?: true;
}

/** Trained parameters as rounds exchange them: a table goes by rows, a vector by tokens does not. */
export const roundParameters = (trained: readonly Trained[]): RoundParameter[] =>
  trained.map(({ name, shape, byToken }) => ({ name, shape, byRow: byToken === true && shape.length > 1 }));
