import type { Readable } from 'node:stream';
import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { bareEtag } from './answer.ts';
import type { SmallObject } from './object-store.ts';

interface Wanted {
  readonly Bucket: string;
  readonly Key: string;
}

/** Bytes of an object, or of a range of it as far as the object goes. */
export async function readRange(
  client: S3Client,
  wanted: Wanted,
  { offset = 0, size, etag }: { offset?: number; size?: number; etag?: string },
): Promise<Buffer> {
  const range = offset > 0 || size !== undefined;
  const last = size === undefined ? '' : offset + size - 1;
  const answer = await client.send(
    new GetObjectCommand({
      ...wanted,
      ...(range ? { Range: `bytes=${offset}-${last}` } : {}),
      ...(etag === undefined ? {} : { IfMatch: `"${etag}"` }),
    }),
  );
  return wholeBody(answer);
}

/** An object whole, unless the store says that it has more than so many bytes: of that nothing is read. */
export async function readSmall(client: S3Client, wanted: Wanted, most: number): Promise<SmallObject> {
  const answer = await client.send(new GetObjectCommand(wanted));
  const etag = bareEtag(answer.ETag);
  const { ContentLength: bytes } = answer;
  if (bytes !== undefined && bytes > most) {
    (answer.Body as Readable).destroy();
    return { body: null, bytes, etag };
  }
  const body = await wholeBody(answer);
  return { body, bytes: body.length, etag };
}

async function wholeBody({ Body, ContentLength }: Pick<GetObjectCommandOutput, 'Body' | 'ContentLength'>) {
  const body = Buffer.from(await Body!.transformToByteArray());
  if (ContentLength !== undefined && ContentLength !== body.length)
    throw Object.assign(new Error('the answer broke off'), { code: 'ECONNRESET' });
  return body;
}
