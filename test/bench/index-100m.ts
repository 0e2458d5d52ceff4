import { execFile } from 'node:child_process';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pMap from 'p-map';
import { encodeIndex, indexKey, memberKinds } from '../../src/data/index/index-object.ts';
import type { ExampleEntry } from '../../src/data/index/types.ts';
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
/** Of each epoch that many are enough: a thousand batches of 256. */
const inOrder = 256_000;

/**
 * A hundred million examples in 10,000 shards of 500 MB, with indexes and without pictures: files of the S3 server that have
 * their size and no blocks. plan: from the listing of the shards and the headers of their indexes to the run's document and
 * the first example. examples: from that document the first 256,000 in order, as a loader asks for them.
 */
export async function benchIndex({ only }: BenchOptions, report: Report): Promise<void> {
  const wanted = benchmarks[name].filter((variant) => isWanted(only, name, variant));
  if (wanted.length === 0) return;
  const server = await startServer();
  try {
    await makeShards(server.store(), join(server.folder, 'root', server.settings.bucket));
    const file = join(server.folder, 'document.json');
    const env = { ...process.env, ...server.environment };
    const measure = async (examples: number) => {
      const job: IndexJob = { prefix, file, examples };
      const [command, args] = ourProcess('index-process.ts', JSON.stringify(job));
      const { stdout } = await promisify(execFile)(command, args, { env });
      return JSON.parse(stdout) as IndexAnswer;
    };
    const plan = await measure(0);
    for (const variant of wanted) {
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
