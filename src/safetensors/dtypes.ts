/** Bytes of an element, by the names that safetensors gives to types, in the order that it gives them. */
export const dtypeBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

export type Dtype = keyof typeof dtypeBytes;

/** Place in the order by which files are laid out; wider types have higher ranks. */
export function dtypeRank(dtype: Dtype): number {
  return Object.keys(dtypeBytes).indexOf(dtype);
}

export function isDtype(name: unknown): name is Dtype {
  return typeof name === 'string' && Object.hasOwn(dtypeBytes, name);
}

/** Bytes of a tensor; NaN when a dimension is no whole number or the product leaves the exact integers. */
export function tensorBytes(dtype: Dtype, shape: readonly unknown[]): number {
  let bytes: number = dtypeBytes[dtype];
  for (const size of shape) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return Number.NaN;
    bytes *= size;
  }
  return Number.isSafeInteger(bytes) ? bytes : Number.NaN;
}
