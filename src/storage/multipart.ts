import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { RunnerError } from '../runtime/errors.ts';
import { sendingMs } from './patience.ts';
import { retryConflict } from './retry.ts';

export interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly path: string;
  readonly file: FileHandle;
  readonly bytes: number;
  readonly way: UploadWay;
  readonly contentType?: string;
  /** Of the file as it was written: bytes that have changed since are not made an object. */
  readonly sha256?: string;
  /** Create only: PreconditionFailed when the key exists, at the latest when the parts are joined. */
  readonly ifAbsent?: boolean;
  readonly signal?: AbortSignal;
}

/** How a file goes up. Memory is that of the parts on their way and one more, whatever the file. */
export interface UploadWay {
  /** Files up to so many bytes go in one piece. */
  readonly multipartAbove: number;
  /** Bytes of a part. */
  readonly partBytes: number;
  readonly partsInFlight: number;
}

const mib = 1024 * 1024;
const mostParts = 10_000;
const smallestPart = 5 * mib;

/** Where nothing else is asked for: three parts on their way hide the time there and back. */
export const usualWay: UploadWay = { multipartAbove: 64 * mib, partBytes: 16 * mib, partsInFlight: 3 };
/**
 * For who waits for it on a link of which nothing is known: under loss the rate of a connection is bounded, so there are as many as
 * boto3 and the AWS CLI have (max_concurrent_requests), of the smallest parts that stores take.
 */
export const spreadWay: UploadWay = { multipartAbove: 8 * mib, partBytes: smallestPart, partsInFlight: 10 };

/**
 * Requests with bodies of a checkpoint go with the CRC32 that the store checks, and are not signed with another sha256
 * of the body on both sides: the bytes were hashed when they were written, are hashed again here before the object is
 * made, and whoever reads them hashes them. A store that takes no CRC32 (AWS_REQUEST_CHECKSUM_CALCULATION=when_required)
 * gets the signed sha256 after all, so that bytes are checked on the way.
 */
async function takesCrc(client: S3Client): Promise<boolean> {
  return (await client.config.requestChecksumCalculation()) !== 'WHEN_REQUIRED';
}

function unsignedBody<T extends PutObjectCommand | UploadPartCommand>(command: T): T {
  // Of either command the stack is the same but for the types of what goes through.
  (command.middlewareStack as PutObjectCommand['middlewareStack']).add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      return next(args);
    },
    { step: 'build', name: 'unsignedBody' },
  );
  return command;
}

/** Uploads a file in one request or in parts; the object appears whole, once, or not at all. Its ETag, as it comes. */
export async function uploadFile(client: S3Client, upload: Upload): Promise<string | undefined> {
  upload.signal?.throwIfAborted();
  const target = { Bucket: upload.bucket, Key: upload.key };
  const type = upload.contentType === undefined ? {} : { ContentType: upload.contentType };
  const condition = upload.ifAbsent ? { IfNoneMatch: '*' } : {};
  const crc = await takesCrc(client);
  if (upload.bytes <= upload.way.multipartAbove) {
    const body = await readBytes(upload, 0, upload.bytes);
    checkHash(upload, createHash('sha256').update(body).digest('hex'));
    const whole = { ...target, ...type, Body: body, ContentLength: body.length, ...condition };
    const command = () =>
      crc
        ? unsignedBody(new PutObjectCommand({ ...whole, ChecksumCRC32: checksum(body) }))
        : new PutObjectCommand(whole);
    const put = () => client.send(command(), sending(upload.signal, body.length));
    return (await retryConflict(put)).ETag;
  }
  // Without the algorithm here versitygw refuses the checksums at completion (InvalidPart).
  const algorithm = crc ? ({ ChecksumAlgorithm: 'CRC32' } as const) : {};
  const create = new CreateMultipartUploadCommand({ ...target, ...type, ...algorithm });
  const { UploadId } = await client.send(create, sending(upload.signal, 0));
  try {
    const parts = await uploadParts(client, upload, UploadId!, crc);
    return await complete(client, upload, UploadId!, parts, condition);
  } catch (error) {
    // Best effort: what stays behind when the server is gone is swept later.
    await client.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => {});
    throw error;
  }
}

/** Reads part by part in order, which the hash needs, and sends a few of them at once. */
async function uploadParts(client: S3Client, upload: Upload, uploadId: string, crc: boolean): Promise<CompletedPart[]> {
  const size = Math.max(upload.way.partBytes, smallestPart, Math.ceil(upload.bytes / mostParts));
  const hash = createHash('sha256');
  const parts: CompletedPart[] = [];
  const inFlight = new Set<Promise<unknown>>();
  const failures: unknown[] = [];
  const stop = new AbortController();
  const signal = upload.signal ? AbortSignal.any([upload.signal, stop.signal]) : stop.signal;
  const send = async (number: number, body: Buffer) => {
    const part = { PartNumber: number, ...(crc && { ChecksumCRC32: checksum(body) }) };
    const command = new UploadPartCommand({
      Bucket: upload.bucket,
      Key: upload.key,
      UploadId: uploadId,
      Body: body,
      ContentLength: body.length,
      ...part,
    });
    const { ETag } = await client.send(crc ? unsignedBody(command) : command, sending(signal, body.length));
    parts[number - 1] = { ...part, ...(ETag === undefined ? {} : { ETag }) };
  };
  try {
    for (let number = 1, offset = 0; offset < upload.bytes && failures.length === 0; number++, offset += size) {
      const body = await readBytes(upload, offset, Math.min(size, upload.bytes - offset));
      hash.update(body);
      const part: Promise<unknown> = send(number, body)
        .catch((error) => failures.push(error))
        .finally(() => inFlight.delete(part));
      inFlight.add(part);
      if (inFlight.size >= upload.way.partsInFlight) await Promise.race(inFlight);
    }
    if (failures.length === 0) await Promise.all(inFlight);
  } finally {
    stop.abort();
    await Promise.all(inFlight);
  }
  if (failures.length > 0) throw failures[0];
  checkHash(upload, hash.digest('hex'));
  return parts;
}

async function complete(
  client: S3Client,
  upload: Upload,
  uploadId: string,
  parts: CompletedPart[],
  condition: { IfNoneMatch?: string },
): Promise<string | undefined> {
  const target = { Bucket: upload.bucket, Key: upload.key };
  const whole = { ...target, UploadId: uploadId, MultipartUpload: { Parts: parts }, ...condition };
  try {
    // One long silence while the server joins the parts.
    const join = () => client.send(new CompleteMultipartUploadCommand(whole), sending(upload.signal, null));
    return (await retryConflict(join)).ETag;
  } catch (error) {
    // The answer of an earlier try may have been lost: then the upload is gone because the object is there.
    if ((error as Error).name !== 'NoSuchUpload') throw error;
    const found = await client.send(new HeadObjectCommand({ ...target, ChecksumMode: 'ENABLED' })).catch(() => null);
    if (found?.ContentLength !== upload.bytes || !isOf(parts, found)) throw error;
    return found.ETag;
  }
}

/** Exactly these bytes of the file; a file that became shorter is an error. */
async function readBytes(upload: Upload, offset: number, size: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(size);
  for (let read = 0; read < size; ) {
    const { bytesRead } = await upload.file.read(buffer, read, size - read, offset + read).catch((error) => {
      throw changed(upload, error);
    });
    if (bytesRead === 0) throw changed(upload);
    read += bytesRead;
  }
  return buffer;
}

function checkHash(upload: Upload, sha256: string): void {
  if (upload.sha256 !== undefined && upload.sha256 !== sha256) throw changed(upload);
}

/** A file of ours that can't be read, or has other bytes than were written. */
export function changed({ path }: { path: string }, cause?: unknown): RunnerError {
  return new RunnerError(
    'SnapshotChanged',
    `${path} is not what was written there: it is gone, or its bytes changed before they were uploaded; look at the disk`,
    { cause },
  );
}

/** @param bytes of the body, null for what may take as long as it likes */
function sending(
  signal: AbortSignal | undefined,
  bytes: number | null,
): { requestTimeout: number; abortSignal?: AbortSignal } {
  return { requestTimeout: bytes === null ? 0 : sendingMs(bytes), ...(signal ? { abortSignal: signal } : {}) };
}

function checksum(bytes: Buffer): string {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(crc32(bytes));
  return buffer.toString('base64');
}

/** Whether an object was made of these parts: S3's checksum of one is that of its parts' checksums, and so is its ETag. */
function isOf(parts: readonly CompletedPart[], { ChecksumCRC32, ETag = '' }: HeadObjectCommandOutput): boolean {
  if (parts.every((part) => part.ChecksumCRC32 !== undefined)) {
    const sums = Buffer.concat(parts.map((part) => Buffer.from(part.ChecksumCRC32!, 'base64')));
    return ChecksumCRC32 === `${checksum(sums)}-${parts.length}`;
  }
  const sums = Buffer.concat(parts.map((part) => Buffer.from((part.ETag ?? '').replaceAll('"', ''), 'hex')));
  return ETag.replaceAll('"', '') === `${createHash('md5').update(sums).digest('hex')}-${parts.length}`;
}
