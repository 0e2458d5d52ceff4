import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { variable } from './variables.ts';

/** What the last bits of a step depend on beside its graph, where the CPU is the device. */
export interface CpuFacts {
  /** Among which TensorFlow splits an op, and some sums with it. */
  readonly threads: number;
  /** The widest instructions that it has: kernels are chosen by them. */
  readonly kind: string;
}

/** Widest first. Each has kernels of its own in oneDNN or XLA. */
const instructions = ['amx_bf16', 'avx512_bf16', 'avx512_vnni', 'avx512f', 'avx2', 'avx'];

export function cpuFacts(env: NodeJS.ProcessEnv = process.env): CpuFacts {
  return { threads: threadsHere(env), kind: kindOf(readOrNothing('/proc/cpuinfo'), env) };
}

/** The number that TensorFlow takes by itself: that of the environment, else the CPUs that the process may run on. */
function threadsHere(env: NodeJS.ProcessEnv): number {
  const given = variable('TF_NUM_INTRAOP_THREADS', env) ?? '';
  if (/^[1-9]\d{0,5}$/.test(given)) return Number(given);
  return allowedCpus(readOrNothing('/proc/self/status')) || availableParallelism();
}

/** Of `Cpus_allowed_list: 0-3,8`: 5; 0 when it is not there. Quotas of containers are no part of it, as for TensorFlow. */
export function allowedCpus(status: string): number {
  const [, list = ''] = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(status) ?? [];
  const ranges = list.split(',').filter(Boolean);
  return ranges.reduce((count, range) => {
    const [first, last = first] = range.split('-').map(Number);
    return count + last! - first! + 1;
  }, 0);
}

/** A name for the kernels that a CPU gets, from what Linux says of it. */
export function kindOf(cpuinfo: string, env: NodeJS.ProcessEnv = {}): string {
  const limit = variable('ONEDNN_MAX_CPU_ISA', env);
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.split(' '));
  const kind = instructions.find((name) => flags.has(name)) ?? process.arch;
  return limit ? `${kind} with ONEDNN_MAX_CPU_ISA=${limit}` : kind;
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
