import { readFileSync } from 'node:fs';

/**
 * A process, told apart from a later one that got the same pid: `started` is its start in clock ticks since boot
 * (field 22 of /proc/<pid>/stat), with the boot's id. Where there is no /proc the pid alone has to do.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly started: string;
}

/** The identity of a running process, or null when there is none (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in brackets, and may itself hold spaces and brackets.
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return { pid, started: `${boot}/${rest[18]}` };
  } catch {
    return process.platform !== 'linux' && exists(pid) ? { pid, started: '' } : null;
  }
}

/** Whether this very process still runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Kills a process that nobody can ask any more, and waits until it is gone: false if that takes too long. */
export async function end(identity: ProcessIdentity, withinMs = 30_000): Promise<boolean> {
  for (const until = Date.now() + withinMs; isRunning(identity); ) {
    try {
      process.kill(identity.pid, 'SIGKILL');
    } catch {
      // It ended in between.
    }
    if (Date.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}
