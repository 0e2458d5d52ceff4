import { randomBytes } from 'node:crypto';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { isRunnerError } from '../../runtime/errors.ts';
import { type Bench, type Check, must, mustBeSame } from './check.ts';

const wrong = 'checkpoints could not be read back, so no run could go on';
const stale = 'a phase could go on from an older state than it committed';
const group = 'objects';

async function roundTrip({ store, key }: Bench, bytes: Buffer): Promise<undefined> {
  await store.put(key('object'), bytes);
  mustBeSame(await store.get(key('object')), bytes);
}

export const objectChecks: readonly Check[] = [
  { group, what: 'what is put is what is got', without: wrong, run: (bench) => roundTrip(bench, randomBytes(100_000)) },
  { group, what: 'an empty object is an object', without: wrong, run: (bench) => roundTrip(bench, Buffer.alloc(0)) },
  {
    group,
    what: 'an object of one byte comes back',
    without: wrong,
    run: (bench) => roundTrip(bench, Buffer.from([0])),
  },
  {
    group,
    what: 'zeros and line ends come back as they are',
    without: wrong,
    run: (bench) => roundTrip(bench, Buffer.concat([Buffer.alloc(5000), Buffer.from('\r\n\n\r\u0000\ufeff')])),
  },
  {
    group,
    what: 'an empty file is an object',
    without: wrong,
    async run({ store, key, file }) {
      await store.putFile(key('file'), await file(Buffer.alloc(0)));
      must((await store.head(key('file')))?.bytes === 0, 'it is not there, or not empty');
      return undefined;
    },
  },
  {
    group,
    what: 'size, ETag and time of an object are told',
    without: 'nobody could see whether data has changed since a phase began',
    async run({ store, key }) {
      const { etag } = await store.put(key('object'), 'twelve bytes');
      const found = await store.head(key('object'));
      must(found !== null, 'it is not found');
      must(found.bytes === 12, `${found.bytes} bytes are told for 12`);
      must(found.etag !== '' && found.etag === etag, `ETag ${found.etag} is told, and ${etag} when it was written`);
      must(found.modified.getTime() > 0, 'no time is told');
      return `ETag ${form(etag)}`;
    },
  },
  {
    group,
    what: 'another content has another ETag, the same one in a list as in a head',
    without: 'changed data would go unnoticed, and compare-and-swap would not work',
    async run({ store, key }) {
      const first = await store.put(key('object'), 'one');
      const second = await store.put(key('object'), 'two');
      must(first.etag !== second.etag, `both have ${first.etag}`);
      for await (const { etag } of store.list(key('object')))
        must(etag === second.etag, `a list says ${etag}, the write said ${second.etag}`);
      return undefined;
    },
  },
  {
    group,
    what: 'an object that is written over is read anew at once, 20 times',
    without: stale,
    async run({ store, key }) {
      for (let i = 0; i < 20; i++) {
        await store.put(key('object'), `version ${i}`);
        const got = String(await store.get(key('object')));
        must(got === `version ${i}`, `version ${i} was written, and ${got} read`);
      }
      return undefined;
    },
  },
  {
    group,
    what: 'an object that is deleted is gone at once, 10 times',
    without: 'what was pruned would be taken for a checkpoint',
    async run({ store, key }) {
      for (let i = 0; i < 10; i++) {
        await store.put(key(`${i}`), 'here');
        await store.delete(key(`${i}`));
        must((await store.head(key(`${i}`))) === null, 'it is still there');
      }
      return undefined;
    },
  },
  {
    group,
    what: 'an object that was not there a moment ago is found once it is written',
    without: stale,
    async run({ store, key }) {
      must((await store.head(key('object'))) === null, 'it was there before it was written');
      await store.put(key('object'), 'now');
      must((await store.head(key('object'))) !== null, 'the answer that it was missing is still given');
      return undefined;
    },
  },
  {
    group,
    what: 'what is missing is told as missing',
    without: 'a first start could not be told from a broken store',
    async run({ store, key }) {
      must((await store.head(key('nothing'))) === null, 'a head finds something');
      const got = await store.get(key('nothing')).catch((error) => error);
      must(
        isRunnerError(got, 'ObjectMissing'),
        `a get says ${got instanceof Error ? got.message : 'that it is there'}`,
      );
      return undefined;
    },
  },
  {
    group,
    what: 'deleting what is not there is no error',
    without: 'sweeping that was cut off could not go on',
    async run({ store, key }) {
      await store.delete(key('never'));
      await store.put(key('object'), 'here');
      await store.delete(key('object'));
      await store.delete(key('object'));
      return undefined;
    },
  },
  {
    group,
    what: 'an object can be read as a stream',
    without: 'data shards could not be read',
    async run({ store, key }) {
      const bytes = randomBytes(300_000);
      await store.put(key('object'), bytes);
      const parts: Buffer[] = [];
      for await (const part of await store.stream(key('object'))) parts.push(part as Buffer);
      mustBeSame(Buffer.concat(parts), bytes);
      return undefined;
    },
  },
  {
    group,
    what: 'the content type is kept',
    async run({ store, key }) {
      await store.put(key('page'), '<p>', { contentType: 'text/html' });
      const head = await store.client.send(new HeadObjectCommand({ Bucket: store.bucket, Key: key('page') }));
      must(head.ContentType === 'text/html', `${head.ContentType ?? 'none'} is told: reports open as downloads`);
      return undefined;
    },
  },
];

function form(etag: string): string {
  return /^[0-9a-f]{32}$/.test(etag) ? 'of 32 hex digits' : `such as ${etag.slice(0, 40)}`;
}
