import { randomBytes } from 'node:crypto';
import { CopyObjectCommand } from '@aws-sdk/client-s3';
import { copyObject } from '../copy.ts';
import { type Check, must, mustBeRefused, mustBeSame } from './check.ts';

const group = 'copies';
const without = 'models could not be exported, nor shards packed again, without sending their bytes twice';
const MiB = 1024 * 1024;

export const copyChecks: readonly Check[] = [
  {
    group,
    what: 'a copy on the server is equal',
    without,
    async run({ store, key }) {
      const bytes = randomBytes(100_000);
      await store.put(key('from'), bytes);
      await store.copy(key('from'), key('to'));
      mustBeSame(await store.get(key('to')), bytes);
      return undefined;
    },
  },
  {
    group,
    what: 'a copy over another object replaces it',
    without,
    async run({ store, key }) {
      await store.put(key('from'), 'new');
      await store.put(key('to'), 'old');
      await store.copy(key('from'), key('to'));
      must(String(await store.get(key('to'))) === 'new', 'the other one is still there');
      return undefined;
    },
  },
  {
    group,
    what: 'an older version than the one that is there is not copied',
    without: 'an export could hold a model that another worker has replaced',
    async run({ store, key }) {
      const { etag } = await store.put(key('from'), 'one');
      await store.put(key('from'), 'two');
      const source = { CopySource: [store.bucket, ...key('from').split('/')].map(encodeURIComponent).join('/') };
      const copy = { Bucket: store.bucket, Key: key('to'), ...source, CopySourceIfMatch: `"${etag}"` };
      await mustBeRefused(store.client.send(new CopyObjectCommand(copy)), 'a copy of it');
      return undefined;
    },
  },
  {
    group,
    what: 'a copy in parts is equal, as of objects above 5 GiB',
    async run({ store, key }) {
      const bytes = randomBytes(6 * MiB);
      const { etag } = await store.put(key('from'), bytes);
      const source = { key: key('from'), bytes: bytes.length, etag, modified: new Date() };
      await copyObject(store.client, store.bucket, source, key('to'), { above: MiB, part: 5 * MiB });
      mustBeSame(await store.get(key('to')), bytes);
      return undefined;
    },
  },
];
