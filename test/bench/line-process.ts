import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { RunnerError } from '../../src/runtime/errors.ts';
import { oneArena } from '../../src/trainer/environment.ts';

/** What a process of steps says when it is warm. Bytes are null where the system does not tell. */
export interface Ready {
  readonly ready: true;
  readonly losses: readonly number[];
  readonly warmUpMs: number;
  /** Resident bytes before the model was made: the libraries. */
  readonly base: number | null;
  readonly peak: number | null;
  readonly threads?: number;
  readonly version: string;
}

/** What it says after a turn. */
export interface Turn {
  readonly ms: readonly number[];
  /** User and system time of all threads of the process: less moved by other work than the clock. */
  readonly cpuMs: readonly number[];
  readonly losses: readonly number[];
  /** Peak of the whole process, tracing and warm-up included, and of the steps after it alone. */
  readonly peak: number | null;
  readonly stepsPeak: number | null;
}

/** Nothing takes so long, and nobody may be there to end it. */
const limitMs = 30 * 60_000;

/** A process that is warm and waits: it answers a line with a line of JSON. Ours and the peer's are alike. */
export class LineProcess<R = Ready, A = Turn> {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #label: string;
  #late = false;
  #errors = '';
  ready!: R;

  private constructor(label: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#label = label;
    // Ours are as a trainer is.
    const own = command === process.execPath ? { ...oneArena, ...env } : env;
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: own });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-4000);
    });
    // A write to a process that has died ends in an error here; the answer that does not come says more.
    this.#child.stdin!.on('error', () => {});
    this.#child.on('error', (error) => {
      this.#errors += error.message;
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** Starts it and waits until it is warm. */
  static async start<R = Ready, A = Turn>(
    label: string,
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
  ): Promise<LineProcess<R, A>> {
    const started = new LineProcess<R, A>(label, command, args, env);
    started.ready = (await started.#answer()) as R;
    return started;
  }

  async ask(line: string): Promise<A> {
    this.#child.stdin!.write(`${line}\n`);
    return (await this.#answer()) as A;
  }

  /** Ends it as a machine that is lost does. */
  async kill(): Promise<void> {
    const ended = new Promise<void>((done) => this.#child.once('close', () => done()));
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** Lets it end, and waits for that. */
  async close(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null || this.#child.pid === undefined) return;
    const ended = new Promise<void>((done) => this.#child.once('close', () => done()));
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(timer);
  }

  async #answer(): Promise<unknown> {
    const timer = setTimeout(() => {
      this.#late = true;
      this.#child.kill('SIGKILL');
    }, limitMs);
    try {
      for (;;) {
        const { value, done } = await this.#lines.next();
        if (done) throw await this.#failure();
        // Libraries may print to stdout what is not for us.
        if (value.startsWith('{')) return JSON.parse(value);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #failure(): Promise<RunnerError> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      await new Promise((done) => this.#child.once('close', done));
    }
    const lines = this.#errors.trim().split('\n');
    // A stack comes after what was wrong.
    const said = lines.filter((line) => /Error\b/.test(line)).at(-1) ?? lines.slice(-3).join(' / ');
    const { pid, signalCode, exitCode } = this.#child;
    const how = this.#late
      ? `killed after ${limitMs / 60_000} minutes without an answer`
      : pid === undefined
        ? 'no start'
        : (signalCode ?? exitCode);
    return new RunnerError(
      'TrainerCrashed',
      `the process of ${this.#label} ended (${how}): ${said || 'it said nothing'}`,
    );
  }
}
