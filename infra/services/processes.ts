import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, type ServicesState } from '../../src/runtime/services-state.ts';

function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Asks a process group to end, and ends it after `patienceMs`; returns when none of it is left. */
export async function endGroup(pid: number, patienceMs: number): Promise<void> {
  const until = Date.now() + patienceMs;
  signalGroup(pid, 'SIGTERM');
  while (signalGroup(pid, 0) && Date.now() < until) await delay(20);
  signalGroup(pid, 'SIGKILL');
  // A killed process that nobody waits for stays listed where there is no init: that must not hold us up.
  for (let waited = 0; signalGroup(pid, 0) && waited < 2_000; waited += 20) await delay(20);
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
