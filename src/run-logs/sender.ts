import { rmSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ObjectStore } from '../storage/object-store.ts';
import { objectOf } from './segment-file.ts';

export type Say = (level: 'info' | 'warn', fields: object, text: string) => void;

/**
 * Makes objects of closed segments, one after another, in the background. A store that is away is tried again for as
 * long as this worker lives, and then by the next one; nobody waits for it.
 */
export class Sender {
  readonly #store: Pick<ObjectStore, 'put'>;
  readonly #say: Say;
  readonly #retryMs: number;
  readonly #waiting: { readonly path: string; readonly sent: () => void }[] = [];
  readonly #ending = new AbortController();
  #working: Promise<void> | null = null;
  #away = false;
  /** Of closed segments that are on the disk alone. */
  bytes = 0;

  constructor(store: Pick<ObjectStore, 'put'>, say: Say, retryMs: number) {
    this.#store = store;
    this.#say = say;
    this.#retryMs = retryMs;
  }

  /** Resolves when the object is there and the file is gone. */
  add(path: string): Promise<void> {
    return new Promise((resolve) => {
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      this.bytes += size;
      const sent = () => {
        this.bytes -= size;
        resolve();
      };
      this.#waiting.push({ path, sent });
      this.#start();
    });
  }

  #start(): void {
    if (this.#waiting.length === 0 || this.#ending.signal.aborted) return;
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
      // One that came in between.
      this.#start();
    });
  }

  async #work(): Promise<void> {
    for (let tries = 0; this.#waiting.length > 0 && !this.#ending.signal.aborted; ) {
      const { path, sent } = this.#waiting[0]!;
      try {
        const object = objectOf(path);
        // As often as it takes, with the same bytes: a worker may be killed between the two lines.
        if (object) await this.#store.put(object.key, object.body, { contentType: 'application/x-ndjson' });
        rmSync(path, { force: true });
        this.#waiting.shift();
        sent();
        if (this.#away) this.#say('info', {}, 'logs of runs are written to the bucket again');
        this.#away = false;
        tries = 0;
      } catch (error) {
        if (!this.#away)
          this.#say(
            'warn',
            { reason: (error as Error).message },
            'logs of runs wait on this disk, since the bucket does not take them',
          );
        this.#away = true;
        const ms = Math.min(this.#retryMs * 2 ** tries++, 60_000);
        await delay(ms, undefined, { signal: this.#ending.signal, ref: false }).catch(() => {});
      }
    }
  }

  /** Gives what waits so long to arrive. What then waits still, is for the next worker. */
  async close(withinMs: number): Promise<void> {
    const late = delay(withinMs, undefined, { ref: false });
    await Promise.race([this.#working, late]);
    this.#ending.abort();
  }
}
