import { type ErrorCode, RunnerError } from '../runtime/errors.ts';
import { isChecksumMismatch } from './retry.ts';

/** What a message about a failed request may name. */
export interface RequestContext {
  /** Address of the store, without user and password; null for AWS itself. */
  readonly endpoint: string | null;
  readonly bucket: string;
  readonly key?: string | undefined;
  /** Last four characters of the access key id, never more. */
  readonly accessKeyEnding?: string | undefined;
}

/** The few fields of SDK, Node and HTTP errors that tell failures apart. */
interface Failure {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const missing = new Set(['NoSuchKey', 'NotFound']);
const refused = new Set([
  'AccessDenied',
  'ExpiredToken',
  'ExpiredTokenException',
  'Forbidden',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'TokenRefreshRequired',
]);
const unconfigured = new Set(['CredentialsProviderError', 'TokenProviderError']);
const precondition = new Set(['PreconditionFailed', 'ConditionalRequestConflict', 'OperationAborted']);
/** 4xx answers that another try can change. NoSuchUpload: the parts are lost, a new upload is not. */
const passing = new Set(['NoSuchUpload', 'RequestTimeout', 'SlowDown', 'ThrottlingException', 'TooManyRequests']);

/** Where a URL points, without credentials that it may carry. */
export function withoutSecrets(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
  } catch {
    return 'the endpoint';
  }
}

/** Turns whatever a request threw into a `RunnerError`; cancellations and `RunnerError`s stay what they are. */
export function storageError(error: unknown, context: RequestContext): unknown {
  if (error instanceof RunnerError) return error;
  const failure = (typeof error === 'object' && error !== null ? error : {}) as Failure;
  const status = failure.$metadata?.httpStatusCode;
  const name = failure.name ?? '';
  if (name === 'AbortError') return error;
  const at = context.endpoint ?? 'AWS S3';
  const object = context.key === undefined ? `bucket ${context.bucket}` : `s3://${context.bucket}/${context.key}`;
  const make = (code: ErrorCode, message: string) => new RunnerError(code, message, { cause: error });

  if (name === 'NoSuchBucket')
    return make(
      'BucketMissing',
      `bucket ${context.bucket} does not exist at ${at}; set SIGLIP2_BUCKET to one that does, or make it: aws s3 mb s3://${context.bucket}`,
    );
  if (name === 'InvalidBucketName')
    return make(
      'BucketMissing',
      `${JSON.stringify(context.bucket)} is no bucket name; set SIGLIP2_BUCKET to 3 to 63 of a-z, 0-9, - and .`,
    );
  if (name === 'PermanentRedirect' || name === 'AuthorizationHeaderMalformed')
    return make(
      'BucketMissing',
      `bucket ${context.bucket} is not in the region that was asked; set AWS_REGION to the bucket's region`,
    );
  if (unconfigured.has(name))
    return make(
      'CredentialsRefused',
      `no credentials for ${object} at ${at}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE`,
    );
  if (name === 'RequestTimeTooSkewed')
    return make('CredentialsRefused', `${at} refused the request since this machine's clock is wrong; set the clock`);
  if (refused.has(name) || status === 401 || status === 403) {
    const key = context.accessKeyEnding ? `, access key id ending in ${context.accessKeyEnding}` : '';
    return make(
      'CredentialsRefused',
      `${at} refused the credentials for ${object} (${name || status}${key}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a pair that may read and write the bucket`,
    );
  }
  if (missing.has(name)) return make('ObjectMissing', `${object} does not exist at ${at}`);
  if (precondition.has(name) || status === 412)
    return make('PreconditionFailed', `${object} was not written: another writer was first`);
  if (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429 && !passing.has(name))
    return make(
      'StorageRefused',
      `${at} refused the request for ${object}: ${name || status}, ${firstLine(failure.message)}; if ${at} is not an S3 endpoint, set AWS_ENDPOINT_URL`,
    );
  if (status !== undefined && status >= 300)
    return make(
      'StorageUnavailable',
      `${at} failed on ${object} (${name || 'HTTP'} ${status}); it is tried again later`,
    );
  // It was asked for several times: it is not the link.
  if (isChecksumMismatch(error))
    return make(
      'DataContract',
      `${object} is damaged: its bytes are not those of its checksum; put back what was written there`,
    );
  const reason = failure.code ?? (name && name !== 'Error' ? name : firstLine(failure.message));
  return make(
    'StorageUnavailable',
    `no answer from ${at} for ${object} (${reason}); start the store, or set AWS_ENDPOINT_URL to where it listens`,
  );
}

/** Server texts are for people too, but not at any length. */
function firstLine(text: string | undefined): string {
  return (text ?? 'no reason given').split('\n', 1)[0]!.slice(0, 200);
}
