import { sha256 } from '../runtime/hash.ts';

/** A compiled program as the cache keeps it. */
export interface KeptProgram {
  /** The bytes of `saved_model.pb`. */
  readonly model: Uint8Array;
  readonly nodes: number;
  /** The outputs of each signature. */
  readonly outputs: ReadonlyMap<string, readonly string[]>;
  /** What XLA compiled, by the names that it gives its files. */
  readonly compiled: ReadonlyMap<string, Uint8Array>;
}

interface Header {
  readonly nodes: number;
  readonly outputs: readonly (readonly [string, readonly string[]])[];
  /** Names and sizes of what follows, the model first. */
  readonly parts: readonly (readonly [string, number])[];
}

const hashLength = 64;
const plainName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** A sha256 of all that follows, a line of JSON, the parts. */
export function encodeEntry({ model, nodes, outputs, compiled }: KeptProgram): Buffer {
  const parts = [['model', model] as const, ...compiled];
  const header: Header = { nodes, outputs: [...outputs], parts: parts.map(([name, bytes]) => [name, bytes.length]) };
  const content = Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), ...parts.map(([, bytes]) => bytes)]);
  return Buffer.concat([Buffer.from(sha256(content)), content]);
}

/** What `encodeEntry` wrote, or null: a file that was cut short or changed is as good as none. */
export function decodeEntry(file: Buffer): KeptProgram | null {
  const content = file.subarray(hashLength);
  if (file.subarray(0, hashLength).toString('latin1') !== sha256(content)) return null;
  const end = content.indexOf('\n');
  const { nodes, outputs, parts } = JSON.parse(content.toString('utf8', 0, end)) as Header;
  let at = end + 1;
  const [model, ...compiled] = parts.map(([name, length]) => {
    at += length;
    return [name, new Uint8Array(content.subarray(at - length, at))] as const;
  });
  // They become files: no name leads out of their folder.
  if (compiled.some(([name]) => !plainName.test(name))) return null;
  return { model: model![1], nodes, outputs: new Map(outputs), compiled: new Map(compiled) };
}
