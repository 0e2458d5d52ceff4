import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  /** Whether it multiplies bfloat16 itself; null where the system does not say. */
  readonly bfloat16: boolean | null;
  readonly node: string;
  /** Share of the cores that other work took in a second before the start. */
  readonly busy: number;
}

export async function describeMachine(): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown processor',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    bfloat16: hasBfloat16(),
    node: process.versions.node,
    busy: await busyShare(),
  };
}

function hasBfloat16(): boolean | null {
  try {
    return /\b(avx512_bf16|amx_bf16|bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return null;
  }
}

async function busyShare(): Promise<number> {
  const sum = () => {
    const all = cpus().map(({ times }) => times);
    const idle = all.reduce((total, { idle }) => total + idle, 0);
    return { idle, total: all.reduce((total, t) => total + t.user + t.nice + t.sys + t.irq + t.idle, 0) };
  };
  const before = sum();
  await delay(1000);
  const after = sum();
  return 1 - (after.idle - before.idle) / Math.max(1, after.total - before.total);
}

/** As a line of the table, and the `machine` of each record. TensorFlow's version where it was loaded. */
export function machineLine({ cpu, cores, memoryGb, bfloat16, node }: Machine, tensorflow?: string): string {
  const bf16 = bfloat16 === null ? '' : bfloat16 ? ', bf16 instructions' : ', no bf16 instructions';
  return `${cpu}, ${cores} cores${bf16}, ${memoryGb} GB; Node ${node}${tensorflow === undefined ? '' : `, TensorFlow ${tensorflow}`}`;
}

/** Said before anything is measured; empty on a quiet machine. */
export function busyWarning({ busy }: Machine): string {
  if (busy < 0.1) return '';
  return (
    `Other work takes ${(100 * busy).toFixed(0)} % of the machine: times will be too long, and ratios to PyTorch too small,\n` +
    'since its threads wait for one another at the end of every loop. Measure on a quiet machine.\n'
  );
}
