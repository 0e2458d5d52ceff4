import type { IncomingMessage } from 'node:http';
import type { S3Client } from '@aws-sdk/client-s3';
import { notOfAStore, passingStatuses } from './answer.ts';
import { leastRead } from './patience.ts';

const looks = 5;
/** S3 gives the ETag with each of these: without one it is something else that answers 200. */
const withEtag = new Set(['GetObjectCommand', 'HeadObjectCommand', 'PutObjectCommand']);

interface Response {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/**
 * Lets a client refuse answers of what is no store, such as the login page of a proxy, and give up answers that come a
 * byte now and then: to a limit of silence alone they look alive for ever.
 *
 * @param slowMs time over which the rate is taken
 */
export function watchAnswers(client: S3Client, slowMs: number): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const result = await next(args);
        const response = result.response as Response;
        const body = response.body as IncomingMessage;
        if (isForeign(commandName, response)) {
          body.destroy();
          const problem = new Error('no answer of S3');
          // Hidden as the SDK hides it: nobody wants a whole response in a log.
          Object.defineProperty(problem, '$response', { value: response });
          throw Object.assign(problem, { name: notOfAStore, $metadata: { httpStatusCode: response.statusCode } });
        }
        // Answers to writes may wait long for the server, which then keeps them alive by a space now and then.
        if ((args.request as { method?: string }).method === 'GET') requireRate(body, slowMs);
        return result;
      },
    { step: 'deserialize', priority: 'low', name: 'watchAnswers' },
  );
}

/** A page, JSON or text without any header of S3; and 200 without the ETag that S3 gives. */
function isForeign(command: string, { statusCode, headers }: Response): boolean {
  if (headers.etag !== undefined || passingStatuses.has(statusCode)) return false;
  if (statusCode < 300 && withEtag.has(command)) return true;
  // An answer without a body is no page, whatever type it claims to be, as moto's to a DELETE.
  if (statusCode === 204) return false;
  // What a HEAD asks for may be missing on any server.
  if (command.startsWith('Head') || Object.keys(headers).some((name) => name.startsWith('x-amz-'))) return false;
  return /^(text\/html|text\/plain|application\/json)\b/i.test(headers['content-type'] ?? '');
}

/** Ends a body that comes too slowly, as a connection that timed out. */
function requireRate(body: IncomingMessage, slowMs: number): void {
  const { socket } = body;
  if (!socket) return;
  // By looks and not by the clock: after a pause of this process itself there is one look, not a slow answer.
  let counts = [socket.bytesRead];
  const timer = setInterval(() => {
    counts = [...counts.slice(-looks), socket.bytesRead];
    if (counts.length <= looks || counts.at(-1)! - counts[0]! >= (leastRead * slowMs) / 1000) return;
    const bytes = counts.at(-1)! - counts[0]!;
    const error = new Error(`${bytes} bytes of the answer came in ${slowMs / 1000} s`);
    body.destroy(Object.assign(error, { name: 'TimeoutError', code: 'ETIMEDOUT' }));
  }, slowMs / looks);
  timer.unref();
  body.once('close', () => clearInterval(timer));
}
