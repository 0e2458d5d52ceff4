import type { RunnerError } from '../runtime/errors.ts';
import { isRecord } from '../runtime/json-text.ts';
import { type Dtype, isDtype, tensorBytes } from './dtypes.ts';
import { duplicateKey } from './json-keys.ts';

export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Of its bytes, from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

type Fail = (problem: string) => RunnerError;

/** Checks every promise of the format: names once, sizes that fit, and tensors that fill the data without a gap. */
export function parseHeader(
  json: Buffer,
  dataBytes: number,
  fail: Fail,
): { tensors: Map<string, TensorInfo>; metadata: Record<string, string> } {
  const text = decode(json, fail);
  const header = parse(text, fail);
  const twice = duplicateKey(text);
  if (twice !== null) throw fail(`its header names ${show(twice)} twice`);
  const metadata = new Map<string, string>();
  const tensors: TensorInfo[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') {
      tensors.push(tensorInfo(name, value, 8 + json.length, dataBytes, fail));
      continue;
    }
    if (!isRecord(value)) throw fail('its __metadata__ is not an object');
    for (const [key, text] of Object.entries(value)) {
      if (typeof text !== 'string') throw fail(`its metadata ${show(key)} is not text`);
      metadata.set(key, text);
    }
  }
  let end = 8 + json.length;
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (tensor.offset < end) throw fail(`tensor ${show(tensor.name)} overlaps the one before it`);
    if (tensor.offset > end)
      throw fail(`${tensor.offset - end} bytes before tensor ${show(tensor.name)} belong to none`);
    end += tensor.bytes;
  }
  const rest = 8 + json.length + dataBytes - end;
  if (rest > 0) throw fail(`its last ${rest} bytes belong to no tensor`);
  return { tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata: Object.fromEntries(metadata) };
}

function tensorInfo(name: string, value: unknown, start: number, dataBytes: number, fail: Fail): TensorInfo {
  const tensor = `tensor ${show(name)}`;
  if (!isRecord(value)) throw fail(`${tensor} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) throw fail(`${tensor} has the unknown dtype ${show(dtype)}`);
  if (!Array.isArray(shape)) throw fail(`${tensor} has no shape`);
  const bytes = tensorBytes(dtype, shape);
  if (Number.isNaN(bytes)) throw fail(`${tensor} has the impossible shape ${show(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every((o) => Number.isSafeInteger(o)))
    throw fail(`${tensor} has the data_offsets ${show(offsets)}, and two whole numbers are wanted`);
  const [begin, end] = offsets as [number, number];
  if (begin < 0 || end < begin || end > dataBytes)
    throw fail(`${tensor} lies at ${begin} to ${end}, outside the ${dataBytes} bytes of data`);
  if (end - begin !== bytes)
    throw fail(`${tensor} of ${dtype} ${show(shape)} takes ${bytes} bytes, and has ${end - begin}`);
  return { name, dtype, shape: shape as number[], offset: start + begin, bytes };
}

function decode(json: Buffer, fail: Fail): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
  } catch {
    throw fail('its header is not UTF-8');
  }
}

function parse(text: string, fail: Fail): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw fail('its header is not JSON');
  }
  if (!isRecord(header)) throw fail('its header is not a JSON object');
  return header;
}

/** Names and values from outside, quoted and not at any length. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'none';
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
