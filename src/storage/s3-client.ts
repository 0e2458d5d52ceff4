import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { countRequests } from './count-requests.ts';
import { answerMs, connectMs, silenceMs, slowMs } from './patience.ts';
import { askTwiceOfTheMoment } from './retry.ts';
import { watchAnswers } from './watch-answers.ts';

export interface S3Settings {
  /** Without one it is AWS itself. */
  readonly endpoint?: string | undefined;
  readonly region: string;
  readonly bucket: string;
  /** Bucket in the path, as most servers but AWS want it. */
  readonly forcePathStyle?: boolean | undefined;
  /** Without them the SDK's standard chain is asked. */
  readonly credentials?: S3ClientConfig['credentials'];
  /** Attempts of one request, 3. */
  readonly attempts?: number;
  /** Files above this many bytes go in parts, 64 MiB. */
  readonly multipartAbove?: number;
  /** Bytes of a part, 16 MiB; raised where 10,000 of them would not do. */
  readonly partBytes?: number;
  /** Keys of a page of a list, as many as the server gives. */
  readonly pageKeys?: number;
  /** Time within which an answer must bring 512 bytes a second, 15 s. */
  readonly slowMs?: number;
}

// The SDK is pinned to a version that runs on every Node that this project takes; the warning would be noise.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

/** A client that counts its requests, and gives up an answer that is slow or silent. To be destroyed. */
export function s3Client(settings: S3Settings): S3Client {
  const client = new S3Client({
    region: settings.region,
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    ...(settings.credentials === undefined ? {} : { credentials: settings.credentials }),
    forcePathStyle: settings.forcePathStyle ?? settings.endpoint !== undefined,
    // A token that was replaced in its file is looked for there: the SDK would know the file from its first look. It
    // hands this on to the chain of credentials, though the type does not say so.
    ...({ ignoreCache: true } as object),
    retryMode: 'standard',
    maxAttempts: settings.attempts ?? 3,
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: answerMs,
      throwOnRequestTimeout: true,
      socketTimeout: silenceMs,
    },
  });
  watchAnswers(client, settings.slowMs ?? slowMs);
  askTwiceOfTheMoment(client);
  countRequests(client);
  return client;
}
