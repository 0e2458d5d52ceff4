import { createHash } from 'node:crypto';
import type { ObjectStore, SmallObject } from '../../src/storage/object-store.ts';

/**
 * Every order in which actors can meet at a store. An actor stops before each request; a schedule says who goes next,
 * and who is killed. Schedules are tried by doing them again from the beginning, and those that come to a state that
 * was seen before (same objects, same actors with the same answers) are not followed any further: what comes after is
 * the same.
 */

/** Who goes next: an actor by its number, or the actor that dies in place of its next request. */
export type Move = { readonly actor: number; readonly dies?: true };

/** Something with a store of its own, which calls the product. */
export type Actor<T> = (store: ObjectStore) => Promise<T>;

export type Outcome<T> =
  | { readonly value: T; readonly error?: undefined }
  | { readonly error: Error }
  | { readonly killed: true };

export interface World {
  readonly store: ObjectStore;
  /** What lies there, as text. */
  readonly contents: () => string;
}

export interface Scheduled<T> {
  readonly moves: readonly Move[];
  readonly outcomes: readonly Outcome<T>[];
  /** Every request and its answer, in their order; of what was read how much it was. */
  readonly trace: readonly string[];
  readonly world: World;
}

export interface Exploration<T> {
  readonly world: () => Promise<World>;
  readonly actors: readonly Actor<T>[];
  /** Actors that may be killed at any request. */
  readonly mortal?: readonly number[];
  readonly check: (end: Scheduled<T>) => Promise<void>;
}

/** Does them all, and says how many states and ends there were. */
export async function everyInterleaving<T>(of: Exploration<T>): Promise<{ states: number; ends: Scheduled<T>[] }> {
  const seen = new Set<string>();
  const ends: Scheduled<T>[] = [];
  const open: Move[][] = [[]];
  for (let moves = open.pop(); moves; moves = open.pop()) {
    const running = await begin(of);
    for (const move of moves) await running.go(move);
    for (;;) {
      const state = running.state();
      if (seen.has(state)) break;
      seen.add(state);
      const [first, ...others] = running.possible();
      if (!first) {
        const end = running.end();
        await of.check(end);
        ends.push(end);
        break;
      }
      for (const other of others) open.push([...running.moves, other]);
      await running.go(first);
    }
    running.abandon();
  }
  return { states: seen.size, ends };
}

/** One schedule, on another world: for comparing what the world answers, as far as the actors go the same way there. */
export async function replay<T>(of: Exploration<T>, moves: readonly Move[]): Promise<Scheduled<T>> {
  const running = await begin(of);
  for (const move of moves) {
    if (!running.possible().some(({ actor, dies }) => actor === move.actor && dies === move.dies)) break;
    await running.go(move);
  }
  running.abandon();
  return running.end();
}

async function begin<T>({ world: make, actors, mortal = [] }: Exploration<T>) {
  const world = await make();
  const trace: string[] = [];
  const moves: Move[] = [];
  const all = actors.map((actor, number) => startActor(actor, world.store, (line) => trace.push(`${number} ${line}`)));
  for (const one of all) await one.stopped();
  return {
    moves,
    possible: (): Move[] =>
      all.flatMap((one, actor) =>
        one.isWaiting() ? [{ actor }, ...(mortal.includes(actor) ? [{ actor, dies: true as const }] : [])] : [],
      ),
    async go(move: Move) {
      moves.push(move);
      if (move.dies) all[move.actor]!.kill();
      else await all[move.actor]!.go();
    },
    state: () => hash([world.contents(), ...all.map((one) => one.state())].join('\n---\n')),
    end: (): Scheduled<T> => ({ moves: [...moves], outcomes: all.map((one) => one.outcome()!), trace, world }),
    /** What still waits waits for ever, and is forgotten. */
    abandon() {
      for (const one of all) one.kill();
    },
  };
}

function startActor<T>(actor: Actor<T>, store: ObjectStore, tell: (line: string) => void) {
  let waiting: (() => void) | null = null;
  let outcome: Outcome<T> | null = null;
  const answers: string[] = [];
  let settle = () => {};
  let quiet = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const turn = () =>
    new Promise<void>((resolve) => {
      waiting = resolve;
      settle();
    });
  const answered = (line: string, body = '') => {
    answers.push(line + body);
    tell(line);
  };
  const call = async (name: string, args: unknown[]) => {
    const asked = `${name} ${String(args[0])}`;
    await turn();
    try {
      const answer = await (store[name as 'head'] as (...all: unknown[]) => Promise<unknown>).apply(store, args);
      const body = Buffer.isBuffer(answer) ? answer : (answer as Partial<SmallObject> | null | undefined)?.body;
      answered(`${asked}: ${told(answer)}`, body ? hash(body.toString()) : '');
      return answer;
    } catch (error) {
      answered(`${asked}: ${(error as { code?: string }).code ?? error}`);
      throw error;
    }
  };
  const listing = async function* (name: 'list' | 'listVersioned' | 'listUploads', prefix: string) {
    await turn();
    // A page of a listing is one request, and these have one page.
    const all: unknown[] = [];
    for await (const one of store[name](prefix)) all.push(one);
    answered(`${name} ${prefix}: ${all.map((one) => (one as { key?: string }).key ?? String(one)).join(' ')}`);
    yield* all;
  };
  const stepped = new Proxy(store, {
    get(target, name) {
      if (name === 'list' || name === 'listVersioned' || name === 'listUploads')
        return (prefix: string) => listing(name, prefix);
      const value = target[name as keyof ObjectStore];
      return typeof value === 'function' ? (...args: unknown[]) => call(String(name), args) : value;
    },
  });
  void actor(stepped)
    .then(
      (value) => ({ value }),
      (error: Error) => ({ error }),
    )
    .then((end) => {
      outcome ??= end;
      settle();
    });
  return {
    isWaiting: () => waiting !== null && outcome === null,
    outcome: () => outcome,
    stopped: () => quiet,
    state: () => `${outcome && 'killed' in outcome ? 'killed' : answers.join('\n')}`,
    async go() {
      const next = waiting!;
      waiting = null;
      quiet = new Promise((resolve) => {
        settle = resolve;
      });
      next();
      await quiet;
    },
    kill() {
      outcome ??= { killed: true };
      waiting = null;
    },
  };
}

const told = (answer: unknown): string =>
  Buffer.isBuffer(answer)
    ? `${answer.length} bytes`
    : answer === null || answer === undefined
      ? String(answer)
      : `${(answer as { bytes?: number }).bytes ?? 'written'}`;

const hash = (text: string) => createHash('sha256').update(text).digest('hex');
