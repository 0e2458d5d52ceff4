import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { long } from '../support/long.ts';
import { newestStep, type Site, startSite, tinyRecipe, Watched } from './harness.ts';
import { lastRelease, layOut } from './last-release.ts';
import { verifyCommits } from './verify.ts';

const patience = 600_000;
const total = 800;
const release = await lastRelease();
const code = { now: fileURLToPath(new URL('../..', import.meta.url)), before: '' };
type Code = keyof typeof code;
let site: Site;
let expected: string;
let turns = 0;

beforeAll(async () => {
  if (release === null) return;
  site = await startSite({ worker: false });
  code.before = join(site.folder, 'before');
  await layOut(release, code.before);
  const run = new Watched(site, await site.start('undisturbed', tinyRecipe()));
  const worker = startWorkerOf('now');
  expected = (await run.result).phases[0]!.checkpoint.sha256;
  await ended(worker, 'SIGTERM');
}, patience);
afterAll(() => site?.stop(), patience);

/** A worker for all queues, of the code that lies in a folder. */
function startWorkerOf(which: Code): ChildProcess {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const log = openSync(join(site.folder, `${turns++}-${which}.log`), 'w');
  const worker = spawn(process.execPath, ['--import', tsx, join(code[which], 'src', 'worker.ts')], {
    cwd: code[which],
    env: { ...process.env, ...site.services.environment, SIGLIP2_STATE: join(site.folder, 'worker') },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  return worker;
}

async function ended(worker: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = once(worker, 'exit');
  worker.kill(signal);
  await exit;
}

describe.skipIf(release === null)('a phase that workers of the last release and of this one train in turn', () => {
  // As an upgrade does it, which gives time for a checkpoint, and the way back as an accident does.
  const upgrade: [Code, NodeJS.Signals, Code] = ['before', 'SIGTERM', 'now'];
  const back: [Code, NodeJS.Signals, Code] = ['now', 'SIGKILL', 'before'];
  it.each(long ? [upgrade, back] : [upgrade])(
    'ends in the bytes of one that nobody disturbed: begun by the code of %s, which %s ends, it is ended by that of %s',
    async (first, signal, second) => {
      const run = new Watched(site, await site.start(`first-${first}`, tinyRecipe()));
      let worker = startWorkerOf(first);
      try {
        await run.reach(280);
        await ended(worker, signal);
        expect(await newestStep(site, run.name)).toBeLessThan(total);
        worker = startWorkerOf(second);
        expect((await run.result).phases[0]!.checkpoint).toMatchObject({ step: total, sha256: expected });
      } finally {
        await ended(worker, 'SIGTERM');
      }
      await verifyCommits(site.store, run.name);
    },
    patience,
  );
});
