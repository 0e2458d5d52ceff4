import { delimiter, join } from 'node:path';
import { provideDebianPackage } from '../../infra/setup/debian-program.ts';
import { type ProgramName, provideProgram } from '../../infra/setup/go-program.ts';
import { createProgress } from '../../infra/setup/progress.ts';
import { runTool } from '../../infra/setup/run-tool.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { paths } from '../../src/runtime/paths.ts';

/** A program that tests alone use, from the cache or fetched; null where it can't be had, which is said on stderr. */
export const testProgram = (name: ProgramName): Promise<string | null> =>
  orNull(name, async () => (await provideProgram(name, createProgress(), paths().cache)).path);

/** `prometheus` or `promtool`: those on PATH, else those of Debian's package. */
export const prometheusProgram = (name: 'prometheus' | 'promtool'): Promise<string | null> =>
  orNull(name, async () => {
    for (const folder of (process.env.PATH ?? '').split(delimiter).filter(Boolean)) {
      const path = join(folder, name);
      if (await runTool(path, ['--version']).catch(() => null)) return path;
    }
    return join(await provideDebianPackage('prometheus', createProgress(), paths().cache), name);
  });

async function orNull(name: string, provide: () => Promise<string>): Promise<string | null> {
  try {
    return await provide();
  } catch (error) {
    if (!isRunnerError(error, 'SetupMissing')) throw error;
    process.stderr.write(`Tests that need ${name} are skipped: ${error.message}\n`);
    return null;
  }
}
