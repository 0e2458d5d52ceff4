import { randomBytes } from 'node:crypto';
import {
  GetBucketVersioningCommand,
  HeadBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import { answerOf } from '../answer.ts';
import { type Bench, type Check, CheckFailed, must, mustBeSame } from './check.ts';

const group = 'bucket';
const MiB = 1024 * 1024;
/** S3 refuses requests whose clock is further off. */
const mostSkewMs = 15 * 60_000;

/** A question that tidying asks and can do without. */
function question(what: string, right: string, loss: string, ask: (bench: Bench) => Promise<unknown>): Check {
  return {
    group,
    what,
    async run(bench) {
      await ask(bench).catch((error) => {
        const { status, code } = answerOf(error);
        throw new CheckFailed(`${[status, code].filter(Boolean).join(' ')} (${right}): ${loss}`);
      });
      return undefined;
    },
  };
}

export const bucketChecks: readonly Check[] = [
  {
    group,
    what: 'nothing is kept of what is deleted',
    async run({ store, key }) {
      await store.put(key('object'), 'one');
      await store.put(key('object'), 'two');
      await store.purge(key('object'));
      const left: string[] = [];
      for await (const one of store.listVersioned(key(''))) left.push(one);
      must(left.length === 0, 'old versions stay, and cost money: a purge needs s3:DeleteObjectVersion');
      return undefined;
    },
  },
  question(
    'it is told whether the bucket is versioned',
    's3:GetBucketVersioning',
    'it counts as not versioned, so that old versions of a versioned bucket stay',
    ({ store }) => store.client.send(new GetBucketVersioningCommand({ Bucket: store.bucket })),
  ),
  {
    group,
    what: 'the bucket is not versioned',
    async run({ store }) {
      const asked = store.client.send(new GetBucketVersioningCommand({ Bucket: store.bucket }));
      const { Status } = await asked.catch(() => ({ Status: undefined }));
      must(
        Status !== 'Enabled',
        'it is: what is pruned is deleted by version, which takes a request more for each object',
      );
      return Status === 'Suspended' ? 'suspended' : undefined;
    },
  },
  question(
    'versions can be listed',
    's3:ListBucketVersions',
    'old versions of a versioned bucket stay',
    ({ store, key }) => store.client.send(new ListObjectVersionsCommand({ Bucket: store.bucket, Prefix: key('') })),
  ),
  question(
    'uploads that were cut off can be listed',
    's3:ListBucketMultipartUploads',
    'their parts stay until a rule of the bucket ends them',
    ({ store, key }) => store.client.send(new ListMultipartUploadsCommand({ Bucket: store.bucket, Prefix: key('') })),
  ),
  {
    group,
    what: 'the bucket itself can be asked for',
    without: 'a missing object could not be told from a missing bucket',
    async run({ store }) {
      await store.client.send(new HeadBucketCommand({ Bucket: store.bucket }));
      return undefined;
    },
  },
  {
    group,
    what: 'the clocks of store and machine agree',
    without: 'requests are refused when they are 15 minutes apart',
    async run({ store, key }) {
      const before = Date.now();
      await store.put(key('object'), 'now');
      const after = Date.now();
      const { modified } = (await store.head(key('object')))!;
      // Times of objects are whole seconds.
      const ahead = Math.max(0, modified.getTime() - after);
      const skew = ahead > 0 ? ahead : Math.max(0, before - modified.getTime() - 1000);
      must(skew < mostSkewMs, `they are ${Math.round(skew / 60_000)} minutes apart; set this machine's clock`);
      return skew < 2000 ? 'within 2 s' : `${Math.round(skew / 1000)} s apart`;
    },
  },
  {
    group,
    what: 'small requests are answered',
    without: 'nothing would work',
    async run({ store, key }) {
      const puts: number[] = [];
      const gets: number[] = [];
      for (let i = 0; i < 10; i++) {
        puts.push(await timed(() => store.put(key(`${i}`), 'small')));
        gets.push(await timed(() => store.get(key(`${i}`))));
      }
      return `write ${median(puts).toFixed(0)} ms, read ${median(gets).toFixed(0)} ms`;
    },
  },
  {
    group,
    what: 'large files go and come',
    without: 'checkpoints would be late, or never there',
    async run({ small, key, file }) {
      const bytes = randomBytes(16 * MiB);
      const path = await file(bytes);
      const up = await timed(() => small.putFile(key('file'), path));
      let got: Buffer = Buffer.alloc(0);
      const down = await timed(async () => {
        got = await small.get(key('file'));
      });
      mustBeSame(got, bytes);
      const rate = (ms: number) => ((bytes.length / 1e6 / ms) * 1000).toFixed(0);
      return `16 MiB: up ${rate(up)} MB/s, down ${rate(down)} MB/s`;
    },
  },
];

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
