/**
 * WebAssembly from expressions, as far as the kernels of pictures and of rounds need it: the binary format of
 * https://webassembly.github.io/spec/core/binary, opcodes and all.
 */
export type Code = readonly number[];

/** LEB128, without and with a sign. */
function unsigned(value: number): Code {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}
function signed(value: number): Code {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}

const types = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
export type Type = keyof typeof types;

const op =
  (...code: number[]) =>
  (...given: Code[]): Code => [...given.flat(), ...code];
const load =
  (...code: number[]) =>
  (at: Code, offset = 0): Code => [...at, ...code, 0, ...unsigned(offset)];
const vector = (code: number) => [0xfd, ...unsigned(code)];

export const i32 = {
  of: (value: number): Code => [0x41, ...signed(value)],
  add: op(0x6a),
  load: load(0x28),
};

export const v128 = {
  load: load(...vector(0x00)),
  /** Four or eight bytes into each lane, and four bytes into the first, the others 0. */
  load32Splat: load(...vector(0x09)),
  load64Splat: load(...vector(0x0a)),
  load32Zero: load(...vector(0x5c)),
  /** Eight bytes, each with its sign in sixteen bits. */
  load8x8: load(...vector(0x01)),
  store: (at: Code, value: Code, offset = 0): Code => [...at, ...value, ...vector(0x0b), 0, ...unsigned(offset)],
  /** Sixteen bytes. */
  of: (bytes: readonly number[]): Code => [...vector(0x0c), ...bytes],
  and: op(...vector(0x4e)),
  or: op(...vector(0x50)),
  xor: op(...vector(0x51)),
  /** Bits of the first where the third has a 1, else of the second. */
  choose: op(...vector(0x52)),
  /** The first four bytes. */
  store32: (at: Code, value: Code): Code => [...at, ...value, ...vector(0x5a), 0, 0, 0],
  /** The first eight. */
  store64: (at: Code, value: Code): Code => [...at, ...value, ...vector(0x5b), 0, 0, 0],
};

export const i32x4 = {
  splat: op(...vector(0x11)),
  equal: op(...vector(0x37)),
  add: op(...vector(0xae)),
  sub: op(...vector(0xb1)),
  mul: op(...vector(0xb5)),
  least: op(...vector(0xb6)),
  most: op(...vector(0xb8)),
  shiftLeft: op(...vector(0xab)),
  shiftRight: op(...vector(0xac)),
  /** Without a sign. */
  shiftDown: op(...vector(0xad)),
  /** Products of sixteen-bit lanes with a sign, of which those of two neighbours are added. */
  dot: op(...vector(0xba)),
  /** Of sixteen-bit lanes, without a sign. */
  low: op(...vector(0xa9)),
  high: op(...vector(0xaa)),
  /** With one. */
  lowSigned: op(...vector(0xa7)),
  highSigned: op(...vector(0xa8)),
  truncated: op(...vector(0xf8)),
  /** Two doubles, and two zeros. */
  truncatedDoubles: op(...vector(0xfc)),
};

/** Of bytes without a sign; and two vectors of 32-bit lanes in one. */
export const i16x8 = {
  low: op(...vector(0x89)),
  high: op(...vector(0x8a)),
  narrow: op(...vector(0x85)),
  splat: op(...vector(0x10)),
  add: op(...vector(0x8e)),
  sub: op(...vector(0x91)),
};
export const i8x16 = {
  /** Clamped to 0 to 255. */
  narrow: op(...vector(0x66)),
  /** Clamped to -128 to 127. */
  narrowSigned: op(...vector(0x65)),
  /** The bytes of the first at the places that the second tells; 0 beyond the last. */
  at: op(...vector(0x0e)),
  /** Bytes of two vectors, those of the second from place 16 on. */
  shuffle: (a: Code, b: Code, places: readonly number[]): Code => [...a, ...b, ...vector(0x0d), ...places],
};

/** The first two lanes of each. */
export const joined = (a: Code, b: Code): Code =>
  i8x16.shuffle(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);

/** The last two lanes, first. */
export const lastTwo = (a: Code): Code =>
  i8x16.shuffle(a, a, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);

export const f32x4 = {
  splat: op(...vector(0x13)),
  of: op(...vector(0xfa)),
  add: op(...vector(0xe4)),
  sub: op(...vector(0xe5)),
  mul: op(...vector(0xe6)),
  div: op(...vector(0xe7)),
  floor: op(...vector(0x68)),
  /** Two doubles, rounded. */
  demoted: op(...vector(0x5e)),
};

/**
 * `of`: the first two of four integers, `ofUnsigned` of those without a sign; `size`: without its sign; `larger`: the second where it
 * is larger, else the first; `all`: a double that is computed, in both lanes.
 */
export const f64x2 = {
  all: op(...vector(0x14)),
  splat: (value: number): Code => {
    const bytes = new Uint8Array(Float64Array.of(value, value).buffer);
    return v128.of([...bytes]);
  },
  size: op(...vector(0xec)),
  of: op(...vector(0xfe)),
  ofUnsigned: op(...vector(0xff)),
  add: op(...vector(0xf0)),
  sub: op(...vector(0xf1)),
  mul: op(...vector(0xf2)),
  div: op(...vector(0xf3)),
  larger: op(...vector(0xf7)),
  floor: op(...vector(0x75)),
  promoted: op(...vector(0x5f)),
};

export interface Local {
  readonly get: Code;
  set(value: Code): Code;
}

/** Again until `i`, which grows by `step`, has reached `end`: once at least. */
export function repeat(i: Local, end: Code, step: Code, ...body: Code[]): Code {
  const isBelow = 0x49;
  return [0x03, 0x40, ...body.flat(), ...i.set(i32.add(i.get, step)), ...i.get, ...end, isBelow, 0x0d, 0, 0x0b];
}

/** `body` for every `step` bytes of the `size` from `i` on, which grows up to `end`. */
export const through = (i: Local, end: Local, size: Local, step: number, ...body: Code[]): Code => [
  ...end.set(i32.add(i.get, size.get)),
  ...repeat(i, end.get, i32.of(step), ...body),
];

export interface Kernel {
  readonly name: string;
  readonly parameters: readonly Type[];
  readonly locals: readonly Type[];
  readonly body: Code;
}

/** A function without a result. Its body is made from its parameters and locals, by the names that they have. */
export function kernel<P extends string, L extends string>(
  name: string,
  parameters: Readonly<Record<P, Type>>,
  locals: Readonly<Record<L, Type>>,
  body: (of: Readonly<Record<P | L, Local>>) => readonly Code[],
): Kernel {
  const names = [...Object.keys(parameters), ...Object.keys(locals)];
  const own = names.map((name, i): [string, Local] => [
    name,
    { get: [0x20, ...unsigned(i)], set: (value) => [...value, 0x21, ...unsigned(i)] },
  ]);
  return {
    name,
    parameters: Object.values(parameters),
    locals: Object.values(locals),
    body: body(Object.fromEntries(own) as Record<P | L, Local>).flat(),
  };
}

/** A module that has these functions and takes its memory from `loader.memory`. */
export function assemble(kernels: readonly Kernel[]): Uint8Array {
  const list = (items: readonly Code[]) => [...unsigned(items.length), ...items.flat()];
  const sized = (content: Code) => [...unsigned(content.length), ...content];
  const section = (id: number, content: Code) => [id, ...sized(content)];
  const text = (value: string) => sized([...Buffer.from(value)]);
  const signature = ({ parameters }: Kernel) => [0x60, ...list(parameters.map((type) => [types[type]])), 0];
  const code = ({ locals, body }: Kernel) => sized([...list(locals.map((type) => [1, types[type]])), ...body, 0x0b]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list(kernels.map(signature))),
    ...section(2, list([[...text('loader'), ...text('memory'), 2, 0, 1]])),
    ...section(3, list(kernels.map((_, i) => unsigned(i)))),
    ...section(7, list(kernels.map(({ name }, i) => [...text(name), 0, ...unsigned(i)]))),
    ...section(10, list(kernels.map(code))),
  ]);
}
