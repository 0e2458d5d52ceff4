import { describe, expect, it } from 'vitest';
import { type ErrorCode, RunnerError } from '../../src/runtime/errors.ts';
import { storageError } from '../../src/storage/errors.ts';

const context = { endpoint: 'http://store:9000', bucket: 'b', key: 'k', accessKeyId: 'AKIAWRONG000WXYZ' };

/** An error as the SDK throws it for an answer with this status, code and text. */
function answered(status: number, code = '', message = 'UnknownError', type = 'application/xml'): Error {
  return Object.assign(new Error(message), {
    name: code || 'Unknown',
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
    $response: { statusCode: status, headers: { 'content-type': type } },
  });
}

function told(error: unknown): RunnerError {
  const made = storageError(error, context);
  if (!(made instanceof RunnerError)) throw made;
  return made;
}

describe('what passes by itself is tried again', () => {
  it.each<[number, string]>([
    [408, ''],
    [429, ''],
    [500, ''],
    [500, 'InternalError'],
    [502, ''],
    [503, ''],
    [503, 'SlowDown'],
    [504, 'GatewayTimeout'],
    [400, 'RequestTimeout'],
    [400, 'ThrottlingException'],
    [403, 'RequestLimitExceeded'],
    [404, 'NoSuchUpload'],
    [409, 'ConditionalRequestConflict'],
    [409, 'OperationAborted'],
    [409, ''],
  ])('%i %s', (status, code) => {
    expect(told(answered(status, code))).toMatchObject({ code: 'StorageUnavailable', retryable: true });
  });

  it('a page of a proxy with 502 or 503 is a store in trouble, not something else', () => {
    for (const status of [502, 503])
      expect(told(answered(status, '', 'UnknownError', 'text/html')).code).toBe('StorageUnavailable');
  });

  it.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH'])(
    'no answer (%s)',
    (code) => {
      const error = told(Object.assign(new Error('x'), { code }));
      expect(error).toMatchObject({ code: 'StorageUnavailable', retryable: true });
      expect(error.message).toBe(
        `no answer from http://store:9000 for s3://b/k (${code}); start the store, or set AWS_ENDPOINT_URL to where it listens`,
      );
    },
  );
});

describe('what does not pass is final', () => {
  it.each<[number, string, ErrorCode]>([
    [301, '', 'BucketMissing'],
    [301, 'PermanentRedirect', 'BucketMissing'],
    [302, '', 'StorageRefused'],
    [304, '', 'StorageRefused'],
    [400, 'InvalidArgument', 'StorageRefused'],
    [400, 'ExpiredToken', 'CredentialsRefused'],
    [401, '', 'CredentialsRefused'],
    [403, '', 'CredentialsRefused'],
    [403, 'AccessDenied', 'CredentialsRefused'],
    [403, 'RequestTimeTooSkewed', 'CredentialsRefused'],
    [404, 'NoSuchBucket', 'BucketMissing'],
    [404, 'NoSuchKey', 'ObjectMissing'],
    [404, 'NotFound', 'ObjectMissing'],
    [405, 'MethodNotAllowed', 'StorageRefused'],
    [409, 'InvalidBucketState', 'StorageRefused'],
    [411, 'MissingContentLength', 'StorageRefused'],
    [412, 'PreconditionFailed', 'PreconditionFailed'],
    [412, '', 'PreconditionFailed'],
    [413, 'EntityTooLarge', 'StorageRefused'],
    [501, '', 'StorageRefused'],
    [501, 'NotImplemented', 'StorageRefused'],
    [505, '', 'StorageRefused'],
    [507, 'XMinioStorageFull', 'StorageRefused'],
    [520, '', 'StorageRefused'],
  ])('%i %s is %s', (status, code, expected) => {
    expect(told(answered(status, code))).toMatchObject({ code: expected, retryable: false });
  });

  it("says the server's own first line, at most 200 characters of it", () => {
    const text = `x-amz-acl is not known\nhere is a stack ${'x'.repeat(500)}`;
    expect(told(answered(400, 'InvalidArgument', text)).message).toBe(
      'http://store:9000 refused the request for s3://b/k (400 InvalidArgument: x-amz-acl is not known); if http://store:9000 is not an S3 endpoint, set AWS_ENDPOINT_URL',
    );
    expect(told(answered(400, 'InvalidArgument', 'x'.repeat(500))).message).toContain(`: ${'x'.repeat(200)});`);
    expect(told(answered(403, 'AccessDenied', 'no s3:DeleteObject.')).message).toBe(
      'http://store:9000 refused the credentials for s3://b/k (403 AccessDenied: no s3:DeleteObject, access key id ending in WXYZ); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a pair that may read and write the bucket',
    );
  });

  it('never repeats a whole key id that a server sends back', () => {
    const { message } = told(answered(403, 'InvalidAccessKeyId', `The key ${context.accessKeyId} is not known`));
    expect(message).toContain('(403 InvalidAccessKeyId: The key the key is not known, access key id ending in WXYZ)');
    expect(message).not.toContain('AKIA');
  });

  it.each([
    [501, 'NotImplemented', "Header 'x-amz-checksum-crc32' with value 'AAAAAA==' not implemented"],
    [400, 'InvalidArgument', 'x-amz-sdk-checksum-algorithm is not supported'],
    [400, 'InvalidRequest', 'UNSIGNED-PAYLOAD is not allowed'],
    [501, 'NotImplemented', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER is not implemented'],
  ])('a store that takes no checksums (%i %s, %s) is told which setting helps', (status, code, text) => {
    expect(told(answered(status, code, text)).message).toBe(
      `http://store:9000 refused the request for s3://b/k (${status} ${code}: ${text}); it takes no checksums of this kind: set AWS_REQUEST_CHECKSUM_CALCULATION=when_required`,
    );
  });

  it.each([200, 302, 404, 405])('a page for people with %i is told as no S3 endpoint', (status) => {
    const page = answered(status, 'NotOfAStore', 'no answer of S3', 'text/html; charset=utf-8');
    expect(told(page)).toMatchObject({ code: 'StorageRefused', retryable: false });
    expect(told(page).message).toBe(
      `http://store:9000 is not an S3 endpoint: it answered ${status} with an HTML page; set AWS_ENDPOINT_URL to the address of the store's S3 API, which is not that of its console`,
    );
  });

  it('304 for a write names what S3 answers instead', () => {
    expect(told(answered(304)).message).toBe(
      'http://store:9000 refused the request for s3://b/k (304); a write whose condition fails is answered by 412: use a store that does so (AWS S3, versitygw, MinIO, Ceph, Cloudflare R2)',
    );
  });

  it.each(['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID'])(
    'a certificate that is not trusted (%s) names NODE_EXTRA_CA_CERTS',
    (code) => {
      const error = told(Object.assign(new Error('x'), { code }));
      expect(error).toMatchObject({ code: 'StorageRefused', retryable: false });
      expect(error.message).toContain(`(${code}); set NODE_EXTRA_CA_CERTS`);
    },
  );

  it('a port that speaks no TLS, and what is no URL, name what to set', () => {
    const plain = Object.assign(new Error('write EPROTO 80CC:error:0A00010B:SSL routines::wrong version number:x'), {
      code: 'EPROTO',
    });
    expect(told(plain).message).toBe(
      'http://store:9000 does not speak TLS; set AWS_ENDPOINT_URL to its address with http://',
    );
    expect(told(Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL' })).message).toBe(
      'AWS_ENDPOINT_URL is no URL; set it to one, such as http://127.0.0.1:9000',
    );
  });
});

it('a fault of a program is not taken for one of the store', () => {
  const fault = new TypeError('x is not a function');
  expect(storageError(fault, context)).toBe(fault);
});
