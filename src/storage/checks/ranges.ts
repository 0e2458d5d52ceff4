import { randomBytes } from 'node:crypto';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { isRunnerError } from '../../runtime/errors.ts';
import { type Bench, type Check, must, mustBeSame } from './check.ts';

const without = 'data shards and large checkpoints are read in ranges: training would read wrong pictures, or none';
const group = 'ranges';
const bytes = randomBytes(50_000);

function range(what: string, offset: number, size?: number): Check {
  return {
    group,
    what,
    without,
    async run({ store, key }) {
      await store.put(key('object'), bytes);
      const asked = size === undefined ? { offset } : { offset, size };
      mustBeSame(
        await store.get(key('object'), asked),
        bytes.subarray(offset, size === undefined ? undefined : offset + size),
      );
      return undefined;
    },
  };
}

export const rangeChecks: readonly Check[] = [
  range('a range within an object is those bytes', 12_345, 678),
  range('the first byte alone can be read', 0, 1),
  range('a range without an end goes to the end', 49_990),
  range('a range beyond the end stops there', 49_990, 1000),
  {
    group,
    what: 'a range says how large the whole object is',
    without,
    async run({ store, key }) {
      await store.put(key('object'), bytes);
      const get = new GetObjectCommand({ Bucket: store.bucket, Key: key('object'), Range: 'bytes=10-19' });
      const { ContentRange, Body } = await store.client.send(get);
      await Body?.transformToByteArray();
      must(ContentRange === 'bytes 10-19/50000', `Content-Range is ${ContentRange ?? 'missing'}`);
      return undefined;
    },
  },
  {
    group,
    what: 'sixteen ranges at once are each right',
    without,
    async run({ store, key }) {
      await store.put(key('object'), bytes);
      const offsets = Array.from({ length: 16 }, (_, i) => i * 3000);
      const got = await Promise.all(offsets.map((offset) => store.get(key('object'), { offset, size: 3000 })));
      mustBeSame(Buffer.concat(got), bytes.subarray(0, 48_000));
      return undefined;
    },
  },
  {
    group,
    what: 'a range of an older version is refused (If-Match)',
    without: 'a shard that was replaced while a phase reads it would go unnoticed',
    run: (bench) => readOld(bench, { offset: 0, size: 2 }),
  },
  {
    group,
    what: 'a whole object of an older version is refused (If-Match)',
    without: 'an object that was replaced while it is read would go unnoticed',
    run: (bench) => readOld(bench, {}),
  },
];

async function readOld({ store, key }: Bench, part: { offset?: number; size?: number }): Promise<undefined> {
  const { etag } = await store.put(key('object'), 'one');
  await store.put(key('object'), 'two');
  const got = await store.get(key('object'), { ...part, etag }).catch((error) => error);
  must(isRunnerError(got, 'DataContract'), got instanceof Error ? got.message : 'the newer one was given for it');
}
