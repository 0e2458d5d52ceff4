/** Numbers of a .npy file, by rows. */
export interface NpyArray {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

const readers: Readonly<Record<string, readonly [number, (view: DataView, at: number) => number]>> = {
  '|b1': [1, (view, at) => view.getUint8(at)],
  '|u1': [1, (view, at) => view.getUint8(at)],
  '|i1': [1, (view, at) => view.getInt8(at)],
  '<u2': [2, (view, at) => view.getUint16(at, true)],
  '<i2': [2, (view, at) => view.getInt16(at, true)],
  '<u4': [4, (view, at) => view.getUint32(at, true)],
  '<i4': [4, (view, at) => view.getInt32(at, true)],
  '<i8': [8, (view, at) => Number(view.getBigInt64(at, true))],
  '<u8': [8, (view, at) => Number(view.getBigUint64(at, true))],
  '<f4': [4, (view, at) => view.getFloat32(at, true)],
  '<f8': [8, (view, at) => view.getFloat64(at, true)],
};

/** Reads NumPy's format (versions 1 to 3) of plain numbers; objects, which are pickles, are refused. A fault is a sentence. */
export function readNpy(bytes: Buffer): NpyArray | { readonly fault: string } {
  if (bytes.length < 10 || bytes.toString('latin1', 0, 6) !== '\x93NUMPY') return { fault: 'it is no .npy file' };
  const wide = bytes[6]! >= 2;
  const start = wide ? 12 : 10;
  if (bytes.length < start) return { fault: 'the .npy file breaks off in its header' };
  const length = wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', start, Math.min(bytes.length, start + Math.min(length, 65_536)));
  const kind = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1];
  if (kind === undefined || shape === undefined) return { fault: "the header of the .npy file can't be read" };
  if (/'fortran_order':\s*True/.test(header)) return { fault: 'the .npy file is by columns; save it by rows' };
  const reader = Object.hasOwn(readers, kind) ? readers[kind] : undefined;
  if (!reader) return { fault: `the .npy file has ${kind}; allowed: ${Object.keys(readers).join(', ')}` };
  const sizes = shape.split(',').flatMap((size) => (size.trim() === '' ? [] : Number(size)));
  const count = sizes.reduce((product, size) => product * size, 1);
  const [width, read] = reader;
  const rest = bytes.length - start - length;
  if (rest !== count * width)
    return { fault: `the .npy file has ${rest} bytes of numbers, and ${count * width} are needed` };
  const view = new DataView(bytes.buffer, bytes.byteOffset + start + length, rest);
  return { shape: sizes, values: Float64Array.from({ length: count }, (_, i) => read(view, i * width)) };
}
