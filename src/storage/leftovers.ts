import {
  type DeleteMarkerEntry,
  GetBucketVersioningCommand,
  type GetBucketVersioningCommandOutput,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  type ObjectVersion,
  type S3Client,
} from '@aws-sdk/client-s3';
import { answerOf, isUnknownQuestion } from './answer.ts';
import type { UnfinishedUpload } from './object-store.ts';

/**
 * What a bucket keeps that a listing of its objects does not show: versions, delete markers, parts. A store that does
 * not know a question, or whose owner lets nobody ask it, counts as having none: tidying can do without.
 */

async function orElse<T, N>(question: Promise<T>, none: N): Promise<T | N> {
  try {
    return await question;
  } catch (error) {
    if (isUnknownQuestion(answerOf(error))) return none;
    throw error;
  }
}

/** Whether a bucket has, or had, versions that can be listed, and so deleted. */
export async function isVersioned(client: S3Client, bucket: string): Promise<boolean> {
  const none: GetBucketVersioningCommandOutput = { $metadata: {} };
  const { Status } = await orElse(client.send(new GetBucketVersioningCommand({ Bucket: bucket })), none);
  if (Status === undefined) return false;
  return (await orElse(client.send(new ListObjectVersionsCommand({ Bucket: bucket, MaxKeys: 1 })), null)) !== null;
}

/** Versions and delete markers under a prefix. */
export async function* listVersions(
  client: S3Client,
  bucket: string,
  prefix: string,
): AsyncIterable<ObjectVersion | DeleteMarkerEntry> {
  let next: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } | null = {};
  while (next) {
    const page: ListObjectVersionsCommandOutput = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix, ...next }),
    );
    yield* page.Versions ?? [];
    yield* page.DeleteMarkers ?? [];
    next = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker } : null;
  }
}

/** Uploads in parts under a prefix that have not ended. */
export async function* listUploads(client: S3Client, bucket: string, prefix: string): AsyncIterable<UnfinishedUpload> {
  let next: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | null = {};
  while (next) {
    const page: ListMultipartUploadsCommandOutput = await orElse(
      client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...next })),
      { $metadata: {} },
    );
    // Not every server heeds the prefix.
    for (const { Key, UploadId, Initiated } of page.Uploads ?? [])
      if (Key?.startsWith(prefix) && UploadId) yield { key: Key, id: UploadId, begun: Initiated ?? new Date(0) };
    next = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : null;
  }
}
