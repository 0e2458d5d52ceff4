import { setTimeout as delay } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { answerOf, isConflict, isOfTheMoment } from './answer.ts';

/** A body whose bytes are not those that its checksum in the header is of; the SDK gives that no name. */
export const isChecksumMismatch = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('Checksum mismatch');

/** A body that broke off, or came too slowly. */
const broken = new Set(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ETIMEDOUT']);

/** Tries again after answers whose body broke off or is wrong: the SDK retries only until the headers are there. */
export async function retryBroken<T>(read: () => Promise<T>, attempts: number): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      const { system = '' } = answerOf(error);
      if ((!broken.has(system) && !isChecksumMismatch(error)) || attempt >= attempts) throw error;
      await delay(100 * 2 ** attempt);
    }
  }
}

/**
 * What a store on a file system answers where the folder of a key is removed at this moment, with the last object in it.
 * Of a key that is a folder it answers so again, and that is a refusal.
 */
const folderInTheWay = 'ExistingObjectIsDirectory';

/** Conditional writes that met another one in flight (409) have no winner yet: they are asked again. */
export async function retryConflict<T>(write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      const answer = answerOf(error);
      const mayPass = isConflict(answer) || answer.code === folderInTheWay;
      if (!mayPass || attempt >= 5) throw error;
      await delay(50 * 2 ** attempt * (0.5 + Math.random()));
    }
  }
}

/**
 * Lets a client ask once more what was refused for the moment alone, with credentials that are looked for anew: the
 * clock was set meanwhile, or a token replaced. What is said twice is believed.
 */
export function askTwiceOfTheMoment(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        try {
          return await next(args);
        } catch (error) {
          const answer = answerOf(error);
          // The answer to a HEAD has no words: whatever it refuses may be of the moment.
          const wordless = commandName.startsWith('Head') && (answer.status === 400 || answer.status === 403);
          if (!wordless && !isOfTheMoment(answer)) throw error;
          await delay(500);
          await client.config.credentials({ forceRefresh: true }).catch(() => {});
          return next(args);
        }
      },
    { step: 'initialize', priority: 'high', name: 'askTwiceOfTheMoment' },
  );
}
