import { join } from 'node:path';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

/** The jobs of a ScaledJob as processes: each is a worker of the device's queue with a device of its own. */
export class Jobs {
  readonly all: WorkerProcess[] = [];
  readonly killed = new Set<WorkerProcess>();
  readonly #folder: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #idle: string;

  constructor(options: { folder: string; environment: Readonly<Record<string, string>>; idle: string }) {
    this.#folder = options.folder;
    this.#environment = options.environment;
    this.#idle = options.idle;
  }

  get running(): readonly WorkerProcess[] {
    return this.all.filter((job) => job.running());
  }

  /** Those that have not asked for work yet: a readiness probe would not be true. */
  get pending(): number {
    return this.running.filter(({ lines }) => !lines.some(({ msg }) => msg === 'worker starts')).length;
  }

  /** Those that train: killing them hurts. */
  get busy(): readonly WorkerProcess[] {
    return this.running.filter(({ lines }) => lines.some(({ msg }) => msg === 'first step of this worker'));
  }

  start(): void {
    this.all.push(
      startWorkerProcess({
        folder: join(this.#folder, `job-${this.all.length}`),
        environment: this.#environment,
        args: ['--queues', 'siglip2-gpu', '--exit-when-idle', this.#idle],
      }),
    );
  }

  kill(job: WorkerProcess): void {
    this.killed.add(job);
    job.kill('SIGKILL');
  }

  /** `run/phase@step` of every commit that any of them has told of, in no order. */
  get commits(): string[] {
    return this.all.flatMap(({ lines }) =>
      lines.flatMap(({ msg, run, phase }) => {
        const [, step] = /^committed step (\d+)$/.exec(String(msg)) ?? [];
        return step === undefined ? [] : [`${run}/${phase}@${step}`];
      }),
    );
  }

  async end(): Promise<void> {
    for (const job of this.running) job.kill('SIGKILL');
    await Promise.all(this.all.map(({ ended }) => ended));
  }
}
