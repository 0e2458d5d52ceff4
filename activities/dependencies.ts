import type { CommitPoint } from '../src/checkpoint/commit.ts';
import type { Prices } from '../src/costs/prices.ts';
import type { RunLogs } from '../src/run-logs/run-logs.ts';
import type { CpuFacts } from '../src/runtime/cpu.ts';
import type { DeviceMemory } from '../src/runtime/device-memory.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Counter } from '../src/telemetry/counters.ts';
import type { Gauges } from '../src/telemetry/gauges.ts';
import type { PooledTrainer, TrainerPool } from '../src/trainer/pool.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import type { FirstStep } from '../src/worker-life/first-step.ts';
import type { WorkerLife } from '../src/worker-life/life.ts';
import type { UseMeter } from './use-meter.ts';

export interface ActivityLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** One device of several, with what an attempt touches the world through that has it. */
export interface LeasedDevice extends PooledTrainer {
  readonly trainer: TrainerProcess;
  readonly firstStep: FirstStep;
  readonly memory?: DeviceMemory;
  readonly prices?: Prices;
  readonly cpu?: CpuFacts;
}

/** What activities touch the world through: the worker wires it, tests replace parts of it. */
export interface Dependencies {
  readonly store: ObjectStore;
  /** Absent in a worker that takes no device work; where it has several devices, that of the attempt's own. */
  readonly trainer?: TrainerProcess;
  /** Of a worker that has several: an attempt that needs one leases it. */
  readonly devices?: Pick<TrainerPool<LeasedDevice>, 'lease' | 'trainers'>;
  /** The name of the one that was leased. */
  readonly device?: string;
  /** What a phase is trained on that begins here, where trainers share the CPU; absent: the machine's. */
  readonly cpu?: CpuFacts;
  /** What a step has to fit into, where this worker trains and it is known. */
  readonly memory?: DeviceMemory;
  /** What this worker's device and store cost; absent: nobody says. */
  readonly prices?: Prices;
  /** Local folder of this worker alone, for snapshots and fetched checkpoints. */
  readonly scratch: string;
  readonly log: ActivityLog;
  /** What attempts say, for those who look at their runs. */
  readonly runLogs?: Pick<RunLogs, 'at'>;
  /** What the worker's metrics endpoint shows, where it may have one. */
  readonly gauges?: Gauges;
  /** Of the worker that they run in: when it ends, and what it loses by that. */
  readonly life?: Pick<WorkerLife, 'interrupt' | 'began'>;
  /** Measures how long this worker took to its first step. */
  readonly firstStep?: FirstStep;
  /** Version of this code, for manifests. */
  readonly codeVersion: string;
  /** Tests: points of the commit protocol, of scoring, and of the choice on XLA, where a process may die. */
  readonly onPoint?: (point: CommitPoint | 'scored' | 'stored' | 'measured' | 'chosen') => void | Promise<void>;
  /** Tests: pictures of a part of an evaluation's features. */
  readonly examplesOfPart?: number;
  /** Tests: milliseconds of a piece of what an evaluator learns. */
  readonly learnMs?: number;
  /** Tests: pause before an upload is tried again, in milliseconds. */
  readonly uploadRetryMs?: number;
}

/** What an activity knows of the attempt that it is. */
export interface Attempt {
  /** Names object prefixes, never state. */
  readonly id: string;
  /** From 1. */
  readonly number: number;
  /** The newest details that the attempt before sent. */
  readonly earlier?: unknown;
  /** Aborted when the activity is cancelled, or its worker wants to end. */
  readonly signal: AbortSignal;
  heartbeat(details?: unknown): void;
  /** Of device work: told what the device is held for. */
  readonly use?: UseMeter;
  /** Shows figures of a phase on the worker's metrics endpoint, as long as the attempt lasts. */
  gauge?(of: { readonly run: string; readonly phase: string }, figures: Readonly<Record<string, number>>): void;
  /** Adds to what is counted there of a phase; by nought it is shown from now on. */
  count?(of: { readonly run: string; readonly phase: string }, counter: Counter, by: number): void;
  /** Whether the abort is that of `temporal activity pause`: the server makes the next attempt after `unpause`. */
  paused?(): boolean;
}
