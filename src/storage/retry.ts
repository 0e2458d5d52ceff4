import { setTimeout as delay } from 'node:timers/promises';

/** A body whose bytes are not those that its checksum in the header is of; the SDK gives that no name. */
export const isChecksumMismatch = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('Checksum mismatch');

/** Tries again after answers whose body broke off or is wrong: the SDK retries only until the headers are there. */
export async function retryBroken<T>(read: () => Promise<T>, attempts: number): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      const broken = code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || isChecksumMismatch(error);
      if (!broken || attempt >= attempts) throw error;
      await delay(100 * 2 ** attempt);
    }
  }
}

/** Conditional writes that met another one in flight (409) have no winner yet: they are asked again. */
export async function retryConflict<T>(write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      const name = (error as { name?: unknown }).name;
      const conflict = name === 'ConditionalRequestConflict' || name === 'OperationAborted';
      if (!conflict || attempt >= 5) throw error;
      await delay(50 * 2 ** attempt * (0.5 + Math.random()));
    }
  }
}
