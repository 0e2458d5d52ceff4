import { execFile } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { hasNvidiaDriver, ownDevice } from '../../src/runtime/device.ts';
import { isRunnerError, RunnerError } from '../../src/runtime/errors.ts';
import { type BenchOptions, defaultFile } from './arguments.ts';
import { askCard } from './gpu-card.ts';
import { gpuParts, type PartResult } from './gpu-parts.ts';
import type { DeviceAnswer, GpuJob } from './gpu-process.ts';
import { describeMachine, machineLine } from './machine.ts';
import { ourProcess } from './our-process.ts';
import type { BenchRecord } from './record.ts';
import { row } from './table.ts';

/** What `npm run bench -- --gpu` writes. A part that failed says why in `error`, and the others are made all the same. */
export interface GpuReport {
  readonly version: 1;
  readonly begun: string;
  /** Made on a CPU, to see that it runs: nothing in it is a figure of a GPU. */
  readonly dry: boolean;
  readonly machine: string;
  readonly card: Readonly<Record<string, string>> | null;
  readonly device: DeviceAnswer;
  readonly parts: Readonly<Record<string, PartResult>>;
}

/** How a part asks a process about the device. */
export interface GpuContext {
  readonly dry: boolean;
  readonly options: BenchOptions;
  /** Whether --only leaves it in: `placement/naflex/f32`. */
  wanted(name: string): boolean;
  /** A job in a process of its own; `on` the device, or on the CPU to compare with. Throws what it says is wrong, or that it took too long. */
  ask<A>(job: GpuJob, on?: 'device' | 'cpu'): Promise<A>;
  readonly say: (text: string) => void;
  readonly record: (record: BenchRecord) => void;
}

/** Compiling the largest step under XLA takes minutes; nothing takes so long. */
const limitMs = 20 * 60_000;

/**
 * Everything that only a GPU can show, one part after another, without asking anybody. The file is written after each
 * part: what ends the plan leaves what was found. DeviceMissing where there is no GPU.
 */
export async function benchGpu(options: BenchOptions, out: NodeJS.WritableStream): Promise<GpuReport> {
  const dry = options.gpu === 'dry';
  const say = (text: string) => void out.write(`${text}\n`);
  // The children of this process inherit what the library reads: the CPU, or one card as a trainer has.
  if (dry) process.env.SIGLIP2_DEVICE = 'cpu';
  else Object.assign(process.env, ownDevice('cuda').env);
  if (!dry && !hasNvidiaDriver())
    throw new RunnerError(
      'DeviceMissing',
      'no GPU found: this machine has no NVIDIA driver; --gpu-dry runs the plan on the CPU',
    );
  const context: GpuContext = {
    ...{ dry, options, say },
    wanted: (name) => `gpu/${name}`.startsWith(options.only),
    record: (record) => say(row(record)),
    ask: (job, on = 'device') => inProcess(job, on === 'cpu' ? { ...process.env, SIGLIP2_DEVICE: 'cpu' } : process.env),
  };
  const device = await context.ask<DeviceAnswer>({ part: 'device' });
  if (!dry && device.device === 'cpu')
    throw new RunnerError(
      'DeviceMissing',
      'no GPU found: the machine has an NVIDIA driver, but TensorFlow sees no card; type npm run siglip2 -- doctor',
    );
  const parts: Record<string, PartResult> = {};
  const report: GpuReport = {
    ...{ version: 1, begun: new Date().toISOString(), dry, device, parts },
    machine: machineLine(await describeMachine(), device.tensorflow),
    card: await askCard('name', 'driver_version', 'memory.total', 'compute_cap', 'power.limit'),
  };
  say(`${dry ? 'A dry run on the CPU' : `${report.card?.name ?? 'A GPU'}`}: ${report.machine}`);
  const file = options.json ?? defaultFile;
  for (const [name, part] of Object.entries(gpuParts)) {
    if (!`gpu/${name}`.startsWith(options.only) && !options.only.startsWith(`gpu/${name}`)) continue;
    const began = performance.now();
    say(`\ngpu/${name}`);
    const found = await part(context).catch((error: unknown) => ({ error: sentence(error) }));
    parts[name] = { seconds: Math.round((performance.now() - began) / 100) / 10, ...found };
    if ('error' in found) say(`  failed: ${found.error}`);
    if (file !== '-') write(file, report);
  }
  return report;
}

/** At once: a process that ends while it writes leaves the file before. */
function write(file: string, report: GpuReport): void {
  writeFileSync(`${file}.partial`, `${JSON.stringify(report, null, 2)}\n`);
  renameSync(`${file}.partial`, file);
}

function sentence(error: unknown): string {
  if (!isRunnerError(error)) process.stderr.write(`${(error as Error).stack}\n`);
  return (error as Error).message.split('\n')[0]!;
}

async function inProcess<A>(job: GpuJob, env: NodeJS.ProcessEnv): Promise<A> {
  const [command, args] = ourProcess('gpu-process.ts', JSON.stringify(job));
  const limits = { timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: 2 ** 26 } as const;
  const { stdout } = await promisify(execFile)(command, args, { ...limits, env }).catch((error) => {
    const {
      killed,
      stderr = '',
      signal,
      code,
    } = error as { killed?: boolean; stderr?: string; signal?: string; code?: number };
    const how = killed ? `took more than ${limitMs / 60_000} minutes` : `ended (${signal ?? code})`;
    const last = stderr.trim().split('\n').slice(-3).join(' / ');
    throw new RunnerError(
      'TrainerCrashed',
      `the process of ${JSON.stringify(job)} ${how}: ${last || 'it said nothing'}`,
    );
  });
  const answer = JSON.parse(stdout.trim().split('\n').at(-1)!) as A & { error?: string };
  if (answer.error !== undefined) throw new RunnerError('DeviceMissing', answer.error);
  return answer;
}
