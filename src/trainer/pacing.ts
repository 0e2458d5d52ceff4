import { choosePace, type Pace } from '../recipe/pace.ts';
import { nextCut } from '../recipe/shards.ts';
import type { TrainJob } from './protocol.ts';

/** Steps that a shape is not measured in: its graph is compiled, caches fill. */
const warmUp = 2;
/** What is measured before the first snapshot. */
const fewestSteps = 5;
const measuredMs = 10_000;

/** When snapshots are due and where the shard ends: by the numbers of the job, or by what its own steps and upload take. */
export class Pacing {
  readonly #job: Pick<TrainJob, 'checkpointEvery' | 'shardSteps' | 'toStep'>;
  readonly #now: () => number;
  readonly #seen = new Map<number | null, number>();
  #measured = { steps: 0, ms: 0 };
  /** Of the snapshot that is measured: how long it took, when it was done, and steps since. */
  #first: { readonly stall: number; readonly done: number; steps: number } | null = null;
  #pace: Pace | null;
  #end: number;

  constructor(job: Pick<TrainJob, 'checkpointEvery' | 'shardSteps' | 'toStep'>, now = () => performance.now()) {
    const { checkpointEvery, shardSteps = job.toStep, toStep } = job;
    this.#job = job;
    this.#now = now;
    this.#pace = checkpointEvery === 'auto' ? null : { checkpointEvery, shardSteps };
    this.#end = toStep;
  }

  /** The last step of the shard. */
  get end(): number {
    return this.#end;
  }

  snapshotDue(step: number): boolean {
    if (this.#pace) return step % this.#pace.checkpointEvery === 0;
    const { steps, ms } = this.#measured;
    return this.#first === null && steps >= fewestSteps && ms >= measuredMs;
  }

  /** @param shape what tells batches of one shape from others */
  stepped(ms: number, shape: number | null): void {
    if (this.#pace) return;
    if (this.#first) {
      this.#first.steps++;
      return;
    }
    const before = this.#seen.get(shape) ?? 0;
    this.#seen.set(shape, before + 1);
    if (before >= warmUp) this.#measured = { steps: this.#measured.steps + 1, ms: this.#measured.ms + ms };
  }

  /** A snapshot was taken, in so many milliseconds. */
  taken(ms: number): void {
    if (!this.#pace && this.#measured.steps >= fewestSteps)
      this.#first ??= { stall: ms / 1000, done: this.#now(), steps: 0 };
  }

  /** The first snapshot was committed after step `step`, in so many seconds: what follows from it, once. */
  committed(step: number, upload: number): Pace | null {
    if (this.#pace || !this.#first) return null;
    const quiet = this.#measured.ms / this.#measured.steps / 1000;
    const { stall, done, steps } = this.#first;
    const slowed = (this.#now() - done) / 1000 - steps * quiet;
    const { checkpointEvery, shardSteps } = choosePace({ step: quiet, stall, slowed, upload });
    const own = this.#job.shardSteps;
    this.#pace = { checkpointEvery, shardSteps: own ?? shardSteps };
    if (own === undefined) this.#end = nextCut(step, shardSteps, this.#job.toStep);
    return this.#pace;
  }
}
