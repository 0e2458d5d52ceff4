import { mkdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { paths } from '../../src/runtime/paths.ts';
import { buildFolder } from '../setup/build.mjs';

/**
 * What a container starts, as process 1: `worker`, `siglip2 COMMAND`, or `prepare`. It goes on in this very process, so
 * that SIGTERM reaches the worker and nothing stands between.
 */
const scripts: Readonly<Record<string, string>> = {
  worker: 'src/worker.ts',
  siglip2: 'src/cli.ts',
  prepare: 'infra/images/prepare.ts',
};

const root = fileURLToPath(new URL('../..', import.meta.url));
const [name = '', ...args] = process.argv.slice(2);
const script = Object.hasOwn(scripts, name) ? scripts[name] : undefined;

if (script === undefined) {
  const got = name === '' ? 'nothing' : name;
  process.stderr.write(
    `This image was asked to start ${got}; it starts ${Object.keys(scripts).join(', ')}, such as siglip2 doctor\n`,
  );
  process.exitCode = 1;
} else {
  if (name === 'worker') makePrograms();
  if (process.pid === 1) endOnSignals();
  process.env.SIGLIP2_BUILD = (await buildFolder()) ?? '';
  process.argv = [process.argv[0]!, process.argv[1]!, '--image', join(root, script), ...args];
  await import('../setup/main.ts');
}

/** Compiled steps are the one part of the cache that grows: there the image has a link to its volume, which comes empty. */
function makePrograms(): void {
  try {
    mkdirSync(readlinkSync(join(paths().cache, 'programs')), { recursive: true, mode: 0o700 });
  } catch {
    // No link, or a volume that takes nothing, of which the worker tells: then each start compiles.
  }
}

/** The kernel lets process 1 ignore a signal that it has no handler for: a command without one would outlast `stop`. */
function endOnSignals(): void {
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const)
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(128 + number);
    });
}
