import { createHash, randomBytes } from 'node:crypto';
import { CreateMultipartUploadCommand, ListPartsCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { isRunnerError, RunnerError } from '../../runtime/errors.ts';
import type { UnfinishedUpload } from '../object-store.ts';
import { type Bench, type Check, must, mustBeSame, mustLose } from './check.ts';

const group = 'parts';
const MiB = 1024 * 1024;
const large = 'checkpoints and data of more than 64 MiB could not be written';
const bill = 'parts of uploads that were cut off would take room, and cost money, for ever';

async function begin({ store, key }: Bench): Promise<UnfinishedUpload> {
  const target = { Bucket: store.bucket, Key: key('begun') };
  const { UploadId } = await store.client.send(new CreateMultipartUploadCommand(target));
  return { key: target.Key, id: UploadId!, begun: new Date() };
}

async function unfinished({ store, key }: Bench): Promise<UnfinishedUpload[]> {
  const found: UnfinishedUpload[] = [];
  for await (const upload of store.listUploads(key(''))) found.push(upload);
  return found;
}

export const partChecks: readonly Check[] = [
  {
    group,
    what: 'a file in three parts is what was in the file',
    without: large,
    async run({ small, key, file }) {
      const bytes = randomBytes(11 * MiB);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const { etag } = await small.putFile(key('file'), await file(bytes), { sha256 });
      const found = await small.head(key('file'));
      must(found?.bytes === bytes.length, `${found?.bytes ?? 'no'} bytes are told for ${bytes.length}`);
      must(found.etag === etag, `ETag ${found.etag} is told, and ${etag} when it was written`);
      mustBeSame(await small.get(key('file')), bytes);
      mustBeSame(
        await small.get(key('file'), { offset: 5 * MiB - 10, size: 20 }),
        bytes.subarray(5 * MiB - 10, 5 * MiB + 10),
      );
      return `ETag such as ${etag.slice(0, 40)}`;
    },
  },
  {
    group,
    what: 'a file in parts can be created where its key is free, and not where it is taken (If-None-Match)',
    without: 'two attempts could write over the files of one checkpoint',
    async run(bench) {
      const { small, key, file } = bench;
      const first = randomBytes(5 * MiB + 1);
      await small.putFile(key('file'), await file(first), { ifAbsent: true });
      const other = await file(randomBytes(5 * MiB + 1));
      await mustLose(small.putFile(key('file'), other, { ifAbsent: true }), 'a second creation');
      mustBeSame(await small.get(key('file')), first);
      must((await unfinished(bench)).length === 0, 'the parts of the one that lost are still there');
      return undefined;
    },
  },
  {
    group,
    what: 'of 3 creations in parts at once one wins',
    without: 'two attempts could write over the files of one checkpoint',
    async run({ small, key, file }) {
      const bodies = [1, 2, 3].map((last) => Buffer.concat([Buffer.alloc(5 * MiB), Buffer.from([last])]));
      const paths = await Promise.all(bodies.map(file));
      const creations = paths.map((path) => small.putFile(key('file'), path, { ifAbsent: true }));
      const outcomes = await Promise.allSettled(creations);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected' && !isRunnerError(outcome.reason, 'PreconditionFailed')) throw outcome.reason;
      const won = bodies.filter((_, i) => outcomes[i]!.status === 'fulfilled');
      must(won.length === 1, `${won.length} of 3 won`);
      mustBeSame(await small.get(key('file')), won[0]!);
      return undefined;
    },
  },
  {
    group,
    what: 'a small file can be created once (If-None-Match)',
    without: 'two attempts could write over the files of one checkpoint',
    async run({ store, key, file }) {
      await store.putFile(key('file'), await file(Buffer.from('first')), { ifAbsent: true });
      const second = await file(Buffer.from('second'));
      await mustLose(store.putFile(key('file'), second, { ifAbsent: true }), 'a second creation');
      return undefined;
    },
  },
  {
    group,
    what: 'a file in parts that was changed before its last part is no object, and leaves no parts',
    without: bill,
    async run(bench) {
      const { small, key, file } = bench;
      const path = await file(randomBytes(6 * MiB));
      const got = await small.putFile(key('file'), path, { sha256: '0'.repeat(64) }).catch((error) => error);
      must(isRunnerError(got, 'SnapshotChanged'), 'it was written');
      must((await small.head(key('file'))) === null, 'there is an object all the same');
      must((await unfinished(bench)).length === 0, 'its parts are still there');
      return undefined;
    },
  },
  {
    group,
    what: 'an upload that was begun shows no object',
    without: 'half a checkpoint would look like a whole one',
    async run(bench) {
      const upload = await begin(bench);
      must((await bench.store.head(upload.key)) === null, 'an object is told');
      await bench.store.abortUpload(upload);
      return undefined;
    },
  },
  {
    group,
    what: 'an upload that was begun can be listed, with the time when it was',
    async run(bench) {
      const upload = await begin(bench);
      const found = await unfinished(bench);
      await bench.store.abortUpload(upload);
      must(
        found.some(({ id }) => id === upload.id),
        'it is not listed: uploads that were cut off stay, see the bucket for a rule that ends them',
      );
      must(found[0]!.begun.getTime() > 0, 'no time is told: they are never old enough to be swept');
      return undefined;
    },
  },
  {
    group,
    what: 'an upload that was given up is gone, and giving it up twice is no error',
    without: bill,
    async run(bench) {
      const { store } = bench;
      const upload = await begin(bench);
      const part = { Bucket: store.bucket, Key: upload.key, UploadId: upload.id };
      await store.client.send(new UploadPartCommand({ ...part, PartNumber: 1, Body: Buffer.from('a part') }));
      await store.abortUpload(upload);
      await store.abortUpload(upload);
      const left = await store.client.send(new ListPartsCommand(part)).then(
        ({ Parts }) => Parts?.length ?? 0,
        () => 0,
      );
      must(left === 0, 'its part is still there');
      must(
        (await unfinished(bench)).every(({ id }) => id !== upload.id),
        'it is still listed',
      );
      return undefined;
    },
  },
  {
    group,
    what: 'an upload can be given up in the middle',
    without: 'a worker that is told to end would leave parts behind',
    async run(bench) {
      const { small, key, file } = bench;
      const stop = new AbortController();
      const uploading = small.putFile(key('file'), await file(randomBytes(11 * MiB)), { signal: stop.signal });
      stop.abort();
      const got = await uploading.then(
        () => 'written',
        (error) => error,
      );
      if (got instanceof RunnerError) throw got;
      must(got !== 'written', 'it was written');
      must((await small.head(key('file'))) === null, 'there is an object');
      must((await unfinished(bench)).length === 0, 'its parts are still there');
      return undefined;
    },
  },
];
