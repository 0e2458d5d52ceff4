import { type ErrorCode, RunnerError } from '../runtime/errors.ts';
import { isUntrusted, speaksNoTls } from '../runtime/tls-failure.ts';
import { type Answer, answerOf, isConflict, passes } from './answer.ts';
import { isChecksumMismatch } from './retry.ts';

/** What a message about a failed request may name. */
export interface RequestContext {
  /** Address of the store, without user and password; null for AWS itself. */
  readonly endpoint: string | null;
  readonly bucket: string;
  readonly key?: string | undefined;
  /** No more than its last four characters are shown, and of a short one none. */
  readonly accessKeyId?: string | undefined;
}

const missing = new Set(['NoSuchKey', 'NotFound']);
const elsewhere = new Set(['PermanentRedirect', 'AuthorizationHeaderMalformed', 'TemporaryRedirect']);
const skewed = new Set(['RequestTimeTooSkewed', 'RequestInTheFuture', 'RequestExpired']);
const expired = new Set(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired']);
const refused = new Set(['AccessDenied', 'Forbidden', 'InvalidAccessKeyId', 'InvalidToken', 'SignatureDoesNotMatch']);
const unconfigured = new Set(['CredentialsProviderError', 'TokenProviderError']);

/** Where a URL points, without credentials that it may carry. */
export function withoutSecrets(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
  } catch {
    return 'the endpoint';
  }
}

/**
 * Turns whatever a request threw into a `RunnerError` with the server's own words and what to set; only what passes by
 * itself is worth a retry. Cancellations, `RunnerError`s and what is no failure of a request stay what they are.
 */
export function storageError(error: unknown, context: RequestContext): unknown {
  if (error instanceof RunnerError || (error as { name?: unknown } | null)?.name === 'AbortError') return error;
  const answer = answerOf(error);
  const { status, code } = answer;
  const { bucket } = context;
  const at = context.endpoint ?? 'AWS S3';
  const object = context.key === undefined ? `bucket ${bucket}` : `s3://${bucket}/${context.key}`;
  const make = (as: ErrorCode, message: string) => new RunnerError(as, message, { cause: error });

  if (answer.foreign) return make('StorageRefused', notS3(at, answer));
  if (code === 'NoSuchBucket')
    return make(
      'BucketMissing',
      `bucket ${bucket} does not exist at ${at}; set SIGLIP2_BUCKET to one that does, or make it: aws s3 mb s3://${bucket}`,
    );
  if (code === 'InvalidBucketName')
    return make(
      'BucketMissing',
      `${JSON.stringify(bucket)} is no bucket name; set SIGLIP2_BUCKET to 3 to 63 of a-z, 0-9, - and .`,
    );
  if (elsewhere.has(code) || status === 301 || status === 307)
    return make(
      'BucketMissing',
      `bucket ${bucket} is not in the region that was asked; set AWS_REGION to the bucket's region`,
    );
  if (unconfigured.has(code))
    return make(
      'CredentialsRefused',
      `no credentials for ${object} at ${at}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE`,
    );
  if (skewed.has(code))
    return make('CredentialsRefused', `${at} refused the request since this machine's clock is wrong; set the clock`);
  if (expired.has(code))
    return make(
      'CredentialsRefused',
      `the credentials for ${object} at ${at} have expired (${said(answer, context)}); set AWS_SESSION_TOKEN and its keys to new ones, or log in to the profile again`,
    );
  if (refused.has(code) || ((status === 401 || status === 403) && !passes(answer)))
    return make(
      'CredentialsRefused',
      `${at} refused the credentials for ${object} (${said(answer, context)}${keyEnding(context)}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a pair that may read and write the bucket`,
    );
  if (missing.has(code)) return make('ObjectMissing', `${object} does not exist at ${at}`);
  if (code === 'PreconditionFailed' || status === 412)
    return make('PreconditionFailed', `${object} was not written: another writer was first`);
  if (isConflict(answer))
    return make(
      'StorageUnavailable',
      `${object} was not written: other writes to it are in flight (${said(answer, context)}); it is tried again later`,
    );
  // It was asked for several times: it is not the link.
  if (isChecksumMismatch(error))
    return make(
      'DataContract',
      `${object} is damaged: its bytes are not those of its checksum; put back what was written there`,
    );
  if (passes(answer))
    return make('StorageUnavailable', `${at} failed on ${object} (${said(answer, context)}); it is tried again later`);
  if (status !== undefined)
    return make(
      'StorageRefused',
      `${at} refused the request for ${object} (${said(answer, context)}); ${advice(at, answer)}`,
    );
  return withoutAnswer(error, answer, at, object);
}

/** What to say when nothing came back. */
function withoutAnswer(error: unknown, { code, system }: Answer, at: string, object: string): unknown {
  const make = (as: ErrorCode, message: string) => new RunnerError(as, message, { cause: error });
  if (system === 'ERR_INVALID_URL')
    return make('StorageRefused', 'AWS_ENDPOINT_URL is no URL; set it to one, such as http://127.0.0.1:9000');
  if (system !== undefined && isUntrusted(system))
    return make(
      'StorageRefused',
      `the certificate of ${at} is not trusted here (${system}); set NODE_EXTRA_CA_CERTS to the file of its authority, or AWS_ENDPOINT_URL to the address that it is for`,
    );
  if (speaksNoTls(error))
    return make('StorageRefused', `${at} does not speak TLS; set AWS_ENDPOINT_URL to its address with http://`);
  // Timeouts and connections have a code; what has none is a fault of a program, not of a store.
  if (system === undefined && !code.startsWith('Timeout')) return error;
  return make(
    'StorageUnavailable',
    `no answer from ${at} for ${object} (${system ?? code}); start the store, or set AWS_ENDPOINT_URL to where it listens`,
  );
}

function notS3(at: string, { status, html }: Answer): string {
  const what = html ? 'an HTML page' : 'what is no answer of S3';
  return `${at} is not an S3 endpoint: it answered ${status} with ${what}; set AWS_ENDPOINT_URL to the address of the store's S3 API, which is not that of its console`;
}

/** Status, code and the first line of the server. */
function said({ status, code, words }: Answer, { accessKeyId }: RequestContext): string {
  const name = [status, code].filter(Boolean).join(' ');
  const safe = accessKeyId ? words.replaceAll(accessKeyId, 'the key') : words;
  return safe ? `${name}: ${safe.replace(/\.$/, '')}` : name;
}

function keyEnding({ accessKeyId = '' }: RequestContext): string {
  // Of a short id four characters would be most of it.
  return accessKeyId.length >= 12 ? `, access key id ending in ${accessKeyId.slice(-4)}` : '';
}

/** What to set or to change so that the store does it. */
function advice(at: string, { status, words }: Answer): string {
  if (/checksum|crc32|aws-chunked|x-amz-trailer|UNSIGNED-PAYLOAD/i.test(words))
    return 'it takes no checksums of this kind: set AWS_REQUEST_CHECKSUM_CALCULATION=when_required';
  if (status === 304)
    return 'a write whose condition fails is answered by 412: use a store that does so (AWS S3, versitygw, MinIO, Ceph, Cloudflare R2)';
  if (status === 507) return 'make room in the store';
  return `if ${at} is not an S3 endpoint, set AWS_ENDPOINT_URL`;
}
