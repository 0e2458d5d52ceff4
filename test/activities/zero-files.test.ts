import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeZeroFiles } from '../../activities/zero-files.ts';
import type { CheckpointRef, Manifest } from '../../src/checkpoint/types.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/safetensors/safetensors-write.ts';
import { MemoryStore } from '../data/memory-store.ts';

const prefix = 'runs/first/pretrain/r0/step-00000020/one/';
const path = 'training-00001.safetensors';
let folder: string;
let store: MemoryStore;
let fetched: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'siglip2-zeros-'));
  store = new MemoryStore();
  fetched = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const floats = (name: string, count: number, value: number): TensorToWrite => ({
  ...{ name, dtype: 'F32', shape: [count] },
  data: new Uint8Array(new Float32Array(count).fill(value).buffer),
});

/** Puts a training file of these tensors into the store, and makes what can be made of it: the paths, and where. */
async function madeOf(tensors: readonly TensorToWrite[], committed?: string) {
  const source = join(folder, 'source');
  await writeSafetensors(source, tensors, { sync: false });
  const bytes = readFileSync(source);
  await store.put(prefix + path, bytes);
  const state = [{ path, bytes: bytes.length, sha256: committed ?? sha256(bytes) }];
  const manifest = { run: 'first', phase: 'pretrain', revision: 0, prefix, state } as unknown as Manifest;
  const target = join(folder, 'state');
  const made = await makeZeroFiles(store, { run: 'first', phase: 'pretrain' } as CheckpointRef, manifest, target, {
    isZero: (name) => name.startsWith('moment/'),
    signal: new AbortController().signal,
    onBytes: (count) => {
      fetched += count;
    },
  });
  return { made: made.map((file) => file.path), target, bytes };
}

it('makes the very file of moments that are zero, and fetches its header and what is not zero', async () => {
  // More than a chunk of zeros, on both sides of what is none.
  const others = [floats('decoder', 1000, 0.5), floats('moment/a', 700_001, 0), floats('moment/z', 3, 0)];
  const { made, target, bytes } = await madeOf(others);
  expect(made).toEqual([path]);
  expect(readFileSync(join(target, path)).equals(bytes)).toBe(true);
  const header = 8 + Number(bytes.readBigUInt64LE(0));
  expect(fetched).toBe(header + 4 * 1000);
});

it('leaves a file to be fetched whose moments are not zero, and nothing of it behind', async () => {
  const { made, target } = await madeOf([floats('moment/a', 5000, 1e-9), floats('moment/b', 5000, 0)]);
  expect([made, readdirSync(target)]).toEqual([[], []]);
  expect(fetched).toBeLessThan(1000);
});

it('leaves a file to be fetched that has more of other things', async () => {
  const { made } = await madeOf([floats('decoder', 6000, 0), floats('moment/a', 5000, 0)]);
  expect(made).toEqual([]);
  expect(fetched).toBeLessThan(1000);
});

it('leaves a file to be fetched whose bytes in the store are not those that were committed', async () => {
  const { made, target } = await madeOf([floats('moment/a', 5000, 0)], 'f'.repeat(64));
  expect([made, readdirSync(target)]).toEqual([[], []]);
});
