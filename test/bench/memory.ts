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

/** Lets VmHWM start again from what is held now. False where Linux does not allow it. */
export function forgetPeak(): boolean {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
    return true;
  } catch {
    return false;
  }
}
