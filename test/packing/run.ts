import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attempt, Dependencies } from '../../activities/dependencies.ts';
import { beginPack } from '../../activities/pack-begin.ts';
import { hashPart } from '../../activities/pack-hash.ts';
import { listPack } from '../../activities/pack-list.ts';
import { mergePart } from '../../activities/pack-merge.ts';
import { packPart } from '../../activities/pack-part.ts';
import { reportPack } from '../../activities/pack-report.ts';
import { settlePack } from '../../activities/pack-settle.ts';
import { tarMembers } from '../../src/data/index/tar.ts';
import type { PackReport } from '../../src/packing/report.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { MemoryStore } from '../data/memory-store.ts';

let attempts = 0;
const attempt = (): Attempt => ({
  id: `pack-${++attempts}`,
  number: 1,
  signal: new AbortController().signal,
  heartbeat() {},
});

/** The steps of a pack one after another, as the workflow takes them. */
export async function runPack(store: ObjectStore, input: unknown, partitions = 1): Promise<PackReport> {
  const scratch = mkdtempSync(join(tmpdir(), 'pack-'));
  const deps: Dependencies = { store, scratch, log: { info() {}, warn() {} }, codeVersion: '0' };
  try {
    const { settings, done } = await beginPack(deps, input);
    if (!done) {
      const { parts } = await listPack(deps, { settings }, attempt());
      for (let part = 0; part < parts; part++) await hashPart(deps, { settings, part, partitions }, attempt());
      const compared = settings.duplicates !== 'keep';
      for (let partition = 0; compared && partition < partitions; partition++)
        await mergePart(deps, { settings, partition }, attempt());
      if (compared) await settlePack(deps, { settings, partitions }, attempt());
      for (let part = 0; part < parts; part++) await packPart(deps, { settings, part }, attempt());
    }
    return await reportPack(deps, { settings, partitions }, attempt());
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

export interface Written {
  readonly key: string;
  readonly captions: Record<string, string[]>;
  readonly concept?: string;
  readonly regions?: unknown;
  readonly source?: string;
  readonly picture: Buffer;
  readonly ending: string;
}

/** The examples of all shards below a prefix, in their order. */
export async function examplesBelow(store: MemoryStore, to: string): Promise<Written[]> {
  const found: Written[] = [];
  for (const key of [...store.objects.keys()]
    .filter((key) => key.startsWith(`${to}/`) && key.endsWith('.tar'))
    .sort()) {
    const tar = store.objects.get(key)!;
    let picture: { bytes: Buffer; ending: string } | null = null;
    for await (const member of tarMembers(async (offset, size) => tar.subarray(offset, offset + size), tar.length)) {
      if (!('offset' in member)) throw new Error(member.fault);
      const bytes = tar.subarray(member.offset, member.offset + member.size);
      const ending = member.name.split('.').at(-1)!;
      if (ending === 'json')
        found.push({ ...JSON.parse(bytes.toString()), picture: picture!.bytes, ending: picture!.ending });
      else picture = { bytes, ending };
    }
  }
  return found;
}
