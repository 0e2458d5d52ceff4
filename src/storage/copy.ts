import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import type { ObjectInfo } from './object-store.ts';

/** CopyObject takes no more than this; larger objects are copied in parts of 1 GiB. */
const mostBytes = 5 * 1024 ** 3;
const usualPart = 1024 ** 3;
// A server copies before it answers, so the answer takes as long as the bytes.
const patient = { requestTimeout: 0 };

/** Copies one version of an object within the bucket, on the server. */
export async function copyObject(
  client: S3Client,
  bucket: string,
  source: ObjectInfo,
  to: string,
  limits: { above: number; part: number } = { above: mostBytes, part: usualPart },
): Promise<void> {
  const from = {
    CopySource: [bucket, ...source.key.split('/')].map(encodeURIComponent).join('/'),
    CopySourceIfMatch: `"${source.etag}"`,
  };
  const target = { Bucket: bucket, Key: to };
  if (source.bytes <= limits.above) {
    await client.send(new CopyObjectCommand({ ...target, ...from }), patient);
    return;
  }
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
  try {
    const parts: CompletedPart[] = [];
    for (let offset = 0; offset < source.bytes; offset += limits.part) {
      const PartNumber = parts.length + 1;
      const CopySourceRange = `bytes=${offset}-${Math.min(offset + limits.part, source.bytes) - 1}`;
      const command = new UploadPartCopyCommand({ ...target, ...from, UploadId, PartNumber, CopySourceRange });
      const { CopyPartResult } = await client.send(command, patient);
      parts.push({ PartNumber, ...(CopyPartResult?.ETag ? { ETag: CopyPartResult.ETag } : {}) });
    }
    await client.send(
      new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } }),
      patient,
    );
  } catch (error) {
    await client.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => {});
    throw error;
  }
}
