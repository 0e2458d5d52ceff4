import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestServer } from './versitygw.ts';

/** How an object can be damaged on the disk of its store, below what the store itself writes. */
export const rots = {
  'a flipped bit': (bytes: Buffer) => {
    bytes[bytes.length >> 1]! ^= 1;
    return bytes;
  },
  'no bytes, as after a power loss': () => Buffer.alloc(0),
  'zeros, as after a power loss': (bytes: Buffer) => Buffer.alloc(bytes.length),
} as const;

export type Rot = keyof typeof rots;

/** Damages an object where it lies. Its attributes stay, so that the checksum that the store keeps is now wrong. */
export function rot({ folder }: TestServer, key: string, how: Rot, bucket = 'test'): void {
  const file = join(folder, 'root', bucket, key);
  writeFileSync(file, rots[how](readFileSync(file)));
}
