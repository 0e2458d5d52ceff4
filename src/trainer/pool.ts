import type { TrainerProcess } from './process.ts';

/** One of several trainers under one worker. */
export interface PooledTrainer {
  /** Of its device, such as `gpu-1`. */
  readonly name: string;
  readonly trainer: Pick<TrainerProcess, 'holds'>;
}

/** What a trainer is wanted for. */
export interface LeaseWish {
  /** What is one piece of work after another, as the shards of a phase are. */
  readonly work: string;
  /** Of a round. */
  readonly slot?: number | undefined;
  /** sha256 of the state that it begins with, where that is known. */
  readonly state?: string | undefined;
}

/** How what was done with a trainer came to its end; `stopped` says nothing of the trainer. */
export type LeaseEnd = 'done' | 'failed' | 'stopped';

export interface Lease<T> {
  readonly of: T;
  /** Gives the trainer back; a second time does nothing. */
  release(end: LeaseEnd): void;
}

interface Last {
  readonly wish: LeaseWish;
  readonly turn: number;
  /** Whether what it had last did not end well. */
  readonly hasFailed: boolean;
}

/**
 * The trainers of a worker, each leased to one attempt at a time. A wish gets the free one that has the least to load: that
 * which holds its state, else that which had its slot, then its work; what others have worked on is left to them. One that
 * failed is asked last, until it has done something: another worker may have its device, or the device may be broken.
 */
export class TrainerPool<T extends PooledTrainer> {
  readonly trainers: readonly T[];
  readonly #free: Set<T>;
  readonly #waiting: ((freed: T) => void)[] = [];
  readonly #last = new Map<T, Last>();
  #turn = 0;

  constructor(trainers: readonly T[]) {
    this.trainers = trainers;
    this.#free = new Set(trainers);
  }

  /** Resolves when one is free, the first who asked first. Rejects with the signal's reason when that comes before. */
  async lease(wish: LeaseWish, signal: AbortSignal): Promise<Lease<T>> {
    signal.throwIfAborted();
    const of = this.#best(wish) ?? (await this.#freed(signal));
    this.#free.delete(of);
    const hasFailed = this.#last.get(of)?.hasFailed === true;
    const turn = ++this.#turn;
    this.#last.set(of, { wish, turn, hasFailed });
    let isHeld = true;
    return {
      of,
      release: (end) => {
        if (!isHeld) return;
        isHeld = false;
        this.#last.set(of, { wish, turn, hasFailed: end === 'failed' || (end === 'stopped' && hasFailed) });
        this.#giveBack(of);
      },
    };
  }

  #best(wish: LeaseWish): T | null {
    // Of several that are as good, the one that has rested longest.
    const order = (of: T): number => this.#last.get(of)?.turn ?? 0;
    const rank = (of: T) => rankOf(of, this.#last.get(of) ?? null, wish);
    return [...this.#free].sort((a, b) => rank(a) - rank(b) || order(a) - order(b))[0] ?? null;
  }

  #giveBack(of: T): void {
    const next = this.#waiting.shift();
    if (next) next(of);
    else this.#free.add(of);
  }

  #freed(signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const take = (freed: T) => {
        signal.removeEventListener('abort', leave);
        resolve(freed);
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(take);
    });
  }
}

/** How much has to be loaded for a wish, the least first. */
function rankOf({ trainer }: PooledTrainer, last: Last | null, { work, slot, state }: LeaseWish): number {
  if (last?.hasFailed) return 5;
  if (state !== undefined && trainer.holds(state)) return 0;
  if (last === null) return 3;
  if (last.wish.work !== work) return 4;
  return last.wish.slot === slot ? 1 : 2;
}
