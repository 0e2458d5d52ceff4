import {
  type DeleteMarkerEntry,
  GetBucketVersioningCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  type ObjectVersion,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { UnfinishedUpload } from './object-store.ts';

/** What a bucket keeps that a listing of its objects does not show: versions, delete markers, parts. */

/** Whether a bucket has, or had, versions. A store that does not know the question has none. */
export async function isVersioned(client: S3Client, bucket: string): Promise<boolean> {
  try {
    const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket: bucket }));
    return Status !== undefined;
  } catch (error) {
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    if (status === 400 || status === 405 || status === 501) return false;
    throw error;
  }
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

export async function* listUploads(client: S3Client, bucket: string, prefix: string): AsyncIterable<UnfinishedUpload> {
  let next: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | null = {};
  while (next) {
    const page: ListMultipartUploadsCommandOutput = await client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...next }),
    );
    // Not every server heeds the prefix.
    for (const { Key, UploadId, Initiated } of page.Uploads ?? [])
      if (Key?.startsWith(prefix) && UploadId) yield { key: Key, id: UploadId, begun: Initiated ?? new Date(0) };
    next = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : null;
  }
}
