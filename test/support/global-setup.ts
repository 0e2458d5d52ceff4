import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildFolder } from '../../infra/setup/build.mjs';
import { prepare } from '../../infra/setup/prepare.ts';
import { trainerEnvironment } from '../../infra/setup/tensorflow.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder of this run for pictures that several test files use. */
    drawn: string;
  }
}

/** Real programs for every test, also when vitest is started by hand: nothing to do when they are in the cache. */
export async function setup({ provide }: TestProject): Promise<() => void> {
  const programs = await prepare();
  process.env.SIGLIP2_VERSITYGW ??= programs.versitygw;
  process.env.SIGLIP2_TEMPORAL ??= programs.temporal;
  Object.assign(process.env, await trainerEnvironment());
  // Workers, trainers and commands are started as `npm run` starts them.
  process.env.SIGLIP2_BUILD ??= (await buildFolder()) ?? '';
  const drawn = mkdtempSync(join(tmpdir(), 'siglip2-drawn-'));
  provide('drawn', drawn);
  return () => rmSync(drawn, { recursive: true, force: true });
}
