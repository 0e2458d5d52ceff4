import { execFile } from 'node:child_process';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pMap from 'p-map';
import { encodeTokenSet, TokenSet, tokenSetKey } from '../../src/data/example/token-set.ts';
import { encodeIndex, indexKey, memberKinds } from '../../src/data/index/index-object.ts';
import type { ExampleEntry, ListedIndex, ListedShard } from '../../src/data/index/types.ts';
import { randomStream } from '../../src/runtime/random.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer } from '../storage/versitygw.ts';
import type { BenchOptions } from './arguments.ts';
import type { IndexAnswer, IndexJob } from './index-process.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';

const name = 'index/100m';
const shards = 10_000;
const examplesOfShard = 10_000;
const shardBytes = 500 * 1024 ** 2;
const prefix = 'data/made';
const idsOfShard = 20_000;
const texts = { languages: ['en'], captioning: false };
/** Of each epoch that many are enough: a thousand batches of 256. */
const inOrder = 256_000;

/**
 * A hundred million examples in 10,000 shards of 500 MB, with indexes and without pictures: files of the S3 server that have
 * their size and no blocks. plan: from the listing of the shards and the headers of their indexes to the run's document and
 * the first example. examples: from that document the first 256,000 in order, as a loader asks for them. tokens: the sets of
 * the shards, of 20,000 ids each, become the table of a compact vocabulary; with none of them every text would be read.
 */
export async function benchIndex({ only }: BenchOptions, report: Report): Promise<void> {
  const wanted = benchmarks[name].filter((variant) => isWanted(only, name, variant));
  if (wanted.length === 0) return;
  const server = await startServer();
  try {
    const file = join(server.folder, 'document.json');
    const env = { ...process.env, ...server.environment };
    const measure = async (examples: number | null) => {
      const job: IndexJob = { prefix, file, examples };
      const [command, args] = ourProcess('index-process.ts', JSON.stringify(job));
      const { stdout } = await promisify(execFile)(command, args, { env });
      return JSON.parse(stdout) as IndexAnswer;
    };
    if (wanted.includes('tokens')) {
      await writeFile(file, JSON.stringify(await makeSets(server.store())));
      const { ms, peak, base, bytes, examples } = await measure(null);
      if (examples < idsOfShard) throw new Error(`${examples} token ids of ${shards} shards are too few`);
      const images_per_second = (1000 * shards * examplesOfShard) / ms;
      const sizes = { peak_bytes: peak, base_bytes: base, bytes };
      report({ name, variant: 'tokens', ms_min: ms, ms_median: ms, runs: 1, images_per_second, ...sizes });
    }
    const others = wanted.filter((variant) => variant !== 'tokens');
    if (others.length === 0) return;
    await makeShards(server.store(), join(server.folder, 'root', server.settings.bucket));
    const plan = await measure(0);
    for (const variant of others) {
      const { ms, peak, base, bytes } = variant === 'plan' ? plan : await measure(inOrder);
      const images_per_second = (1000 * (variant === 'plan' ? plan.examples : inOrder)) / ms;
      const sizes = { peak_bytes: peak, base_bytes: base, bytes };
      report({ name, variant, ms_min: ms, ms_median: ms, runs: 1, images_per_second, ...sizes });
    }
  } finally {
    await server.stop();
  }
}

async function makeShards(store: S3ObjectStore, folder: string): Promise<void> {
  const picture = Math.floor(shardBytes / examplesOfShard / 512) * 512;
  const examples = Array.from({ length: examplesOfShard }, (_, i): ExampleEntry => {
    const image = { offset: i * picture + 512, size: picture - 2048 };
    return { name: String(i).padStart(9, '0'), image, meta: { offset: image.offset + picture - 1024, size: 200 } };
  });
  const members = memberKinds(undefined);
  const kinds = [['.jpg', examplesOfShard] as const, ['.json', examplesOfShard] as const];
  await pMap(
    Array(shards).keys(),
    async (i) => {
      const key = `${prefix}/${String(i).padStart(5, '0')}.tar`;
      const { etag } = await store.put(key, `shard ${i}`);
      await truncate(join(folder, key), shardBytes);
      const shard = { key, bytes: shardBytes, etag };
      await store.put(indexKey(shard, members), encodeIndex({ shard, members, kinds, examples, corrupt: [] }));
    },
    { concurrency: 8 },
  );
}

/** A document of shards that are not there, and their token sets, which are. */
async function makeSets(store: S3ObjectStore): Promise<ListedIndex> {
  const index = { bytes: 1, sha256: '0'.repeat(64) };
  const listed = Array.from({ length: shards }, (_, i): ListedShard => {
    const key = `${prefix}/${String(i).padStart(5, '0')}.tar`;
    return { key, bytes: shardBytes, etag: String(i), examples: examplesOfShard, corrupt: 0, index };
  });
  await pMap(
    listed.entries(),
    async ([i, shard]) => {
      const random = randomStream(i, 'tokens');
      const set = new TokenSet();
      // Frequent ones are in every shard, rare ones in few.
      for (let n = 0; n < idsOfShard; n++) set.add(Math.floor(256_000 * random.next() ** 3));
      await store.put(tokenSetKey(shard, undefined, null, texts), encodeTokenSet(shard, set));
    },
    { concurrency: 8 },
  );
  const examples = shards * examplesOfShard;
  return { version: 2, prefix, fingerprint: 'made', examples, shards: listed, corrupt: [] };
}
