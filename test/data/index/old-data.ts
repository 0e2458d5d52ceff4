import { crc32, deflateSync } from 'node:zlib';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

/**
 * The data of which old-index.json is the index, as release 0.1.0 (commit 0fb7dd1) kept it: the document that `keepIndex`
 * of this store's `indexData(store, 'd')` wrote. Its bytes are the same wherever it is made.
 */
export async function oldData(): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const shard of [0, 1]) {
    const members: { name: string; body: Buffer | string }[] = [];
    for (let i = 0; i < 12; i++) {
      members.push({ name: `é/${shard}-${i}.png`, body: plainPng(8, 8 + i, [20 * i, 100 * shard, 7]) });
      // One has no JSON, and one an empty one.
      if (i === 3) continue;
      const text = JSON.stringify({ captions: { en: [`number ${i} of ${shard}`] } });
      members.push({ name: `é/${shard}-${i}.json`, body: i === 5 + shard ? '' : text });
    }
    await store.put(`d/${shard}.tar`, tarOf(members));
  }
  return store;
}

/** What its document and its examples were named by. */
export const oldSha256 = '1e302fd79460df80e1cfb3081a871f79fd8a6e20f48b3afd4417177e97ae513c';
export const oldIdentity = '61303010740525a448f7e2980e689b8c890e7a26ddb966073cefe207f04c7c66';

/** A PNG of one colour, not compressed. */
function plainPng(width: number, height: number, rgb: readonly number[]): Buffer {
  const chunk = (type: string, body: Buffer) => {
    const named = Buffer.concat([Buffer.from(type, 'latin1'), body]);
    return Buffer.concat([uint32(body.length), named, uint32(crc32(named))]);
  };
  const row = [0, ...Array.from({ length: width }, () => rgb).flat()];
  const pixels = Buffer.from(Array.from({ length: height }, () => row).flat());
  const header = Buffer.concat([uint32(width), uint32(height), Buffer.from([8, 2, 0, 0, 0])]);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    ...[chunk('IHDR', header), chunk('IDAT', deflateSync(pixels, { level: 0 })), chunk('IEND', Buffer.alloc(0))],
  ]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
