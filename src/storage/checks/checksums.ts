import { crc32 } from 'node:zlib';
import {
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type Bench, type Check, must, mustBeRefused } from './check.ts';

const group = 'checksums';
const way = 'bytes that turn over on the way to the store would be found only when a checkpoint is read again';
const body = Buffer.from('bytes that are checked');

function sum(bytes: Buffer): string {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(crc32(bytes));
  return buffer.toString('base64');
}

/** Those who were told to send no checksums are not asked for them. */
async function areSent({ store }: Bench): Promise<boolean> {
  return (await store.client.config.requestChecksumCalculation()) !== 'WHEN_REQUIRED';
}
const unasked = 'not looked at, since AWS_REQUEST_CHECKSUM_CALCULATION=when_required';

export const checksumChecks: readonly Check[] = [
  {
    group,
    what: 'a body with its CRC32 is taken, unsigned as files go',
    without: 'nothing could be written; set AWS_REQUEST_CHECKSUM_CALCULATION=when_required and check again',
    async run({ store, key, file }) {
      await store.putFile(key('file'), await file(body));
      must((await store.head(key('file')))?.bytes === body.length, 'another size is there');
      return undefined;
    },
  },
  {
    group,
    what: 'a body with the CRC32 of another one is refused',
    without: way,
    async run(bench) {
      if (!(await areSent(bench))) return unasked;
      const { store, key } = bench;
      const put = { Bucket: store.bucket, Key: key('object'), Body: body, ChecksumCRC32: sum(Buffer.from('others')) };
      await mustBeRefused(store.client.send(new PutObjectCommand(put)), 'it');
      must((await store.head(key('object'))) === null, 'it was refused, and is there all the same');
      return undefined;
    },
  },
  {
    group,
    what: 'a part with the CRC32 of another one is refused',
    without: way,
    async run(bench) {
      if (!(await areSent(bench))) return unasked;
      const { store, key } = bench;
      const target = { Bucket: store.bucket, Key: key('file') };
      const begin = new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'CRC32' });
      const { UploadId = '' } = await store.client.send(begin);
      const part = { ...target, UploadId, PartNumber: 1, Body: body, ChecksumCRC32: sum(Buffer.from('others')) };
      try {
        await mustBeRefused(store.client.send(new UploadPartCommand(part)), 'it');
      } finally {
        await store.abortUpload({ key: target.Key, id: UploadId, begun: new Date() });
      }
      return undefined;
    },
  },
  {
    group,
    what: 'the store keeps the CRC32 and gives it with the object',
    async run(bench) {
      if (!(await areSent(bench))) return unasked;
      const { store, key } = bench;
      await store.put(key('object'), body);
      const ask = { Bucket: store.bucket, Key: key('object'), ChecksumMode: 'ENABLED' } as const;
      const { ChecksumCRC32 } = await store.client.send(new HeadObjectCommand(ask));
      must(
        ChecksumCRC32 !== undefined,
        'none is told: bytes that turn over on the way back are found by their sha256 alone',
      );
      must(ChecksumCRC32 === sum(body), `${ChecksumCRC32} is told for ${sum(body)}`);
      const got = await store.client.send(new GetObjectCommand(ask));
      must(Buffer.from(await got.Body!.transformToByteArray()).equals(body), 'other bytes came back');
      return undefined;
    },
  },
];
