/** What of a failed request tells failures apart: fields of the SDK's, of Node's and of HTTP's errors. */
export interface Answer {
  /** None when there was no answer. */
  readonly status: number | undefined;
  /** The server's own code, such as SlowDown; empty when it gave none, as with every HEAD. */
  readonly code: string;
  /** Node's code of a connection that failed. */
  readonly system: string | undefined;
  /** First line of the server's own words. */
  readonly words: string;
  /** Whether it is something else than an answer of S3: a page for people, JSON, text. `watchAnswers` finds that out. */
  readonly foreign: boolean;
  readonly html: boolean;
}

interface Failure {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  /** Only answers that the SDK understood have it. */
  readonly $fault?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
}

/** The name of an error for what is no answer of S3, whatever its status. */
export const notOfAStore = 'NotOfAStore';

/** Names that the SDK gives for want of a code. */
const nameless = new Set(['', 'Error', 'SyntaxError', 'Unknown', 'UnknownError', notOfAStore]);

export function answerOf(error: unknown): Answer {
  const failure = (typeof error === 'object' && error !== null ? error : {}) as Failure;
  const { name = '', message, $fault, $metadata, $response } = failure;
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  const code = nameless.has(name) || name === String(status) ? '' : name;
  const type = $response?.headers?.['content-type'] ?? '';
  const unread = status !== undefined && $fault === undefined;
  return {
    status,
    code,
    system: typeof failure.code === 'string' ? failure.code : undefined,
    // What the SDK says of an answer that it can't read is not the server's.
    words: unread || message === 'UnknownError' ? '' : firstLine(message),
    foreign: name === notOfAStore,
    html: /^text\/html\b/i.test(type),
  };
}

/** Server texts are for people too, but not at any length. */
function firstLine(text: string | undefined): string {
  return (text ?? '').trim().split('\n', 1)[0]!.slice(0, 200);
}

/** A write whose condition could not be judged yet, since another write is in flight. */
export const isConflict = ({ status, code }: Answer): boolean =>
  code === 'ConditionalRequestConflict' || code === 'OperationAborted' || (status === 409 && code === '');

/** A page with one of these is that of a proxy before a store in trouble. */
export const passingStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
/** Codes of what passes by itself whatever the status. NoSuchUpload: the parts are lost, a new upload is not. */
const passingCodes = new Set([
  'BandwidthLimitExceeded',
  'InternalError',
  'LimitExceededException',
  'NoSuchUpload',
  'PriorRequestNotComplete',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailable',
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'TooManyRequestsException',
]);

/** Whether the same request may be answered otherwise in a while, though nobody does anything. */
export function passes(answer: Answer): boolean {
  const { status, code } = answer;
  // A body that was read, claims to be of S3 and is no XML has lost something on its way.
  const garbled = status !== undefined && status < 300 && !answer.foreign;
  return passingStatuses.has(status ?? 0) || passingCodes.has(code) || isConflict(answer) || garbled;
}

const ofTheMoment = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeTooSkewed',
  'TokenRefreshRequired',
]);

/** What holds of the moment in which it was asked: a clock that was set since, a token that was replaced. */
export const isOfTheMoment = ({ code }: Answer): boolean => ofTheMoment.has(code);

/** What a store answers to a question that it does not know, or that nobody may ask it. */
export function isUnknownQuestion(answer: Answer): boolean {
  const { status, code } = answer;
  if (status === 405 || status === 501) return true;
  if (status === 403) return code === '' || code === 'AccessDenied';
  return status === 400 && ['', 'BadRequest', 'InvalidArgument', 'InvalidRequest', 'NotImplemented'].includes(code);
}

/** ETags come quoted, and some servers mark them weak. */
export function bareEtag(etag: string | undefined): string {
  return (etag ?? '').replace(/^W\//, '').replaceAll('"', '');
}
