import { isRunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Annotated } from './annotate-examples.ts';

/**
 * What is annotated of a shard that is not whole: objects below a prefix, each with the examples from one number to
 * another, a line of JSON each. They go when the shard is whole. Attempts may overlap; what they say of an example is the
 * same.
 */
export class Parts {
  readonly #store: ObjectStore;
  readonly #prefix: string;
  readonly #everyMs: number;

  /** @param everyMs so much work is lost at most when a worker dies */
  constructor(store: ObjectStore, prefix: string, everyMs: number) {
    this.#store = store;
    this.#prefix = prefix;
    this.#everyMs = everyMs;
  }

  /** Every example in order: those that are kept, and then what `rest` makes of the others, which is kept on the way. */
  async *through(rest: (from: number) => AsyncIterable<Annotated>): AsyncGenerator<Annotated> {
    const kept = await this.#kept();
    let next = 0;
    for (let part = kept.get(next); part !== undefined; part = kept.get(next)) {
      const some = await this.#read(part.key);
      if (some?.length !== part.end - next) break;
      yield* some;
      next = part.end;
    }
    let first = next;
    let held: Annotated[] = [];
    let last = performance.now();
    for await (const one of rest(next)) {
      held.push(one);
      next++;
      yield one;
      if (performance.now() - last < this.#everyMs) continue;
      await this.#keep(first, held);
      first = next;
      held = [];
      last = performance.now();
    }
  }

  async clear(): Promise<void> {
    for await (const { key } of this.#store.list(this.#prefix)) await this.#store.delete(key);
  }

  /** By their first example the longest of them. */
  async #kept(): Promise<ReadonlyMap<number, { readonly key: string; readonly end: number }>> {
    const found = new Map<number, { key: string; end: number }>();
    for await (const { key } of this.#store.list(this.#prefix)) {
      const [, first, end] = /^(\d+)-(\d+)\.jsonl$/.exec(key.slice(this.#prefix.length)) ?? [];
      if (first === undefined) continue;
      if (Number(end) > (found.get(Number(first))?.end ?? 0)) found.set(Number(first), { key, end: Number(end) });
    }
    return found;
  }

  /** Null where it is gone or damaged: its examples are looked at again. */
  async #read(key: string): Promise<Annotated[] | null> {
    try {
      const lines = (await this.#store.get(key)).toString().split('\n').slice(0, -1);
      return lines.map((line) => JSON.parse(line) as Annotated);
    } catch (error) {
      if (error instanceof SyntaxError || isRunnerError(error, 'ObjectMissing')) return null;
      throw error;
    }
  }

  async #keep(first: number, some: readonly Annotated[]): Promise<void> {
    const name = (number: number) => String(number).padStart(9, '0');
    const body = some.map((one) => `${JSON.stringify(one)}\n`).join('');
    const key = `${this.#prefix}${name(first)}-${name(first + some.length)}.jsonl`;
    await this.#store.put(key, body, { ifAbsent: true }).catch((error) => {
      if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    });
  }
}
