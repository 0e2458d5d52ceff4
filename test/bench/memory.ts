import { readFileSync, writeFileSync } from 'node:fs';

/** Bytes of VmHWM (peak resident) or VmRSS (resident now) of this process; only Linux says. */
export function memoryOf(key: 'VmHWM' | 'VmRSS'): number | null {
  try {
    const kibibytes = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kibibytes === undefined ? null : 1024 * Number(kibibytes);
  } catch {
    return null;
  }
}

/** Waits until other threads take no more memory, so many half seconds on end: what they make ahead must not be luck. */
export function settle(mostMs: number, halves = 10): void {
  const turn = new Int32Array(new SharedArrayBuffer(4));
  let calm = 0;
  for (const until = Date.now() + mostMs; calm < halves && Date.now() < until; ) {
    const before = memoryOf('VmRSS')!;
    Atomics.wait(turn, 0, 0, 500);
    calm = memoryOf('VmRSS')! - before < 1e6 ? calm + 1 : 0;
  }
}

/** Lets VmHWM start again from what is held now. False where Linux does not allow it. */
export function forgetPeak(): boolean {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
    return true;
  } catch {
    return false;
  }
}
