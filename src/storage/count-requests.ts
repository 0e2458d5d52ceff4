import type { S3Client } from '@aws-sdk/client-s3';
import { countStoreUse } from '../runtime/store-use.ts';

interface Request {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}
interface Response {
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Counts each request of a client as it goes over the wire, with the bytes of its body and of the answer's, by what the
 * two headers say: a body that broke off counts as a whole one. Below the SDK's retries, so that each try is one.
 */
export function countRequests(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const { method, headers } = args.request as Request;
        // What takes away is free with every provider whose prices we read.
        const [free, reads] = [
          method === 'DELETE',
          (method === 'GET' || method === 'HEAD') && !/^List/.test(commandName),
        ];
        const request = { reads: reads ? 1 : 0, writes: reads || free ? 0 : 1 };
        const sent = method === 'PUT' || method === 'POST' ? lengthOf(headers) : 0;
        let readBytes = 0;
        try {
          const result = await next(args);
          if (method === 'GET') readBytes = lengthOf((result.response as Response).headers);
          return result;
        } finally {
          countStoreUse({ ...request, readBytes, writtenBytes: sent });
        }
      },
    // Next to the wire.
    { step: 'deserialize', priority: 'low', name: 'countRequests' },
  );
}

/** Bytes of the content itself where a checksum is sent round it. */
function lengthOf(headers: Readonly<Record<string, string>>): number {
  const length = Number(headers['x-amz-decoded-content-length'] ?? headers['content-length'] ?? 0);
  return Number.isFinite(length) ? length : 0;
}
