import { execFileSync } from 'node:child_process';
import type { Link } from '../../src/rounds/link.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { LineProcess } from './line-process.ts';
import type { LossyLink } from './lossy-link.ts';
import { ourProcess } from './our-process.ts';

/** A network namespace of this machine with one way out. */
export interface SlowPlace {
  /** What goes before a command that is to run there. */
  readonly enter: readonly string[];
  /** Of this machine, as it is seen from there. */
  readonly host: string;
  /** From now on so many Mbit/s each way, and what else its link is. */
  slow(megabits: number): Promise<void>;
  remove(): Promise<void>;
}

const run = (...command: string[]) =>
  execFileSync(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });

/**
 * A place whose link may have latency and lose packets, which a process makes, and whose ends send by what is said, else by what
 * the machine has. SetupMissing where this machine can't make one: it takes root, iproute2 and the kernel's token bucket, or its
 * tunnels.
 */
export async function slowPlace(
  index: number,
  { latency, loss, congestion }: Omit<Link, 'bits'> = { latency: 0, loss: 0 },
): Promise<SlowPlace> {
  const name = `siglip2-bench-${process.pid}-${index}`;
  const [outer, inner] = [`sb${process.pid % 100_000}o${index}`, `sb${process.pid % 100_000}i${index}`];
  // Of the block that is set aside for measuring (RFC 2544).
  const net = `198.18.${index}`;
  let link: LineProcess<unknown, unknown> | null = null;
  const removeNow = () => {
    try {
      run('ip', 'netns', 'del', name);
    } catch {
      // It is gone, or was never made.
    }
  };
  const remove = async () => {
    removeNow();
    await link?.close();
  };
  const within = ['ip', 'netns', 'exec', name];
  try {
    run('ip', 'netns', 'add', name);
    if (latency > 0) {
      link = await LineProcess.start('lossy link', ...ourProcess('lossy-process.ts', outer, inner, `${index}`));
      run('ip', 'link', 'set', inner, 'netns', name);
    } else run('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name);
    run('ip', 'addr', 'add', `${net}.1/24`, 'dev', outer);
    run('ip', 'link', 'set', outer, 'up');
    run(...within, 'ip', 'addr', 'add', `${net}.2/24`, 'dev', inner);
    run(...within, 'ip', 'link', 'set', inner, 'up');
    run(...within, 'ip', 'link', 'set', 'lo', 'up');
    if (congestion) {
      run('ip', 'route', 'replace', `${net}.0/24`, 'dev', outer, 'src', `${net}.1`, 'congctl', congestion);
      run(...within, 'ip', 'route', 'replace', `${net}.0/24`, 'dev', inner, 'src', `${net}.2`, 'congctl', congestion);
    }
  } catch (error) {
    await remove();
    const { message } = error as Error;
    throw new RunnerError(
      'SetupMissing',
      `a network namespace with a slow link can't be made: ${message.trim()}; it takes root and iproute2 (apt-get install iproute2)`,
    );
  }
  process.once('exit', removeNow);
  const slow = async (megabits: number) => {
    if (link) {
      await link.ask(JSON.stringify({ bits: megabits * 1e6, latency: 1000 * latency, loss } satisfies LossyLink));
      return;
    }
    // A bucket of 4 ms, and no less than a packet that the card would have cut.
    const burst = `${Math.max(64, Math.round((megabits * 1000) / 8 / 250))}kb`;
    const bucket = ['root', 'tbf', 'rate', `${megabits}mbit`, 'burst', burst, 'latency', '50ms'];
    run('tc', 'qdisc', 'add', 'dev', outer, ...bucket);
    run(...within, 'tc', 'qdisc', 'add', 'dev', inner, ...bucket);
  };
  return { enter: within, host: `${net}.1`, slow, remove };
}
