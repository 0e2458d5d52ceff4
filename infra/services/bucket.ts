import { CreateBucketCommand, HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { RunnerError } from '../../src/runtime/errors.ts';

/** Makes a bucket where there is none; one that is there is left as it is. */
export async function ensureBucket(client: S3Client, bucket: string): Promise<void> {
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }));
  } catch (error) {
    if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode !== 404) throw error;
    await client.send(new CreateBucketCommand({ Bucket: bucket })).catch((cause) => {
      if (cause.name === 'BucketAlreadyOwnedByYou') return;
      throw new RunnerError('SetupMissing', `the bucket ${bucket} can't be made: ${cause.message}`, { cause });
    });
  }
}
