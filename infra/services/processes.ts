import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, type ServicesState } from '../../src/runtime/services-state.ts';

/** Signals a process group; false when none of it is left. */
export function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * True while a process of the group runs. One that has ended, and for which nobody has asked yet, still takes
 * signals: under a container's idle first process for seconds or for ever.
 */
function groupRuns(group: number): boolean {
  if (!signalGroup(group, 0)) return false;
  const processes = readProcesses();
  return processes === null || processes.some(({ pgrp, state }) => pgrp === group && state !== 'Z' && state !== 'X');
}

function readProcesses(): { state: string; pgrp: number }[] | null {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          const line = readFileSync(`/proc/${name}/stat`, 'utf8');
          const [state = '', , pgrp] = line.slice(line.lastIndexOf(')') + 2).split(' ');
          return [{ state, pgrp: Number(pgrp) }];
        } catch {
          return [];
        }
      });
  } catch {
    return null;
  }
}

/** Asks a process group to end, and ends it after `patienceMs`; returns when none of it runs. */
export async function endGroup(pid: number, patienceMs: number): Promise<void> {
  const until = Date.now() + patienceMs;
  signalGroup(pid, 'SIGTERM');
  while (groupRuns(pid) && Date.now() < until) await delay(50);
  signalGroup(pid, 'SIGKILL');
  for (let waited = 0; groupRuns(pid) && waited < 2_000; waited += 50) await delay(50);
}

/** Ends what an `up` that was killed has left, the worker first. Returns the names. */
export async function endLeftovers(state: ServicesState | null): Promise<string[]> {
  if (!state || isAlive(state.owner)) return [];
  const left = Object.entries(state.children).filter(([, name]) => isAlive(name));
  const order = ['worker', 'temporal', 's3'];
  left.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  for (const [, name] of left) await endGroup(name.pid, 10_000);
  return left.map(([name]) => name);
}
