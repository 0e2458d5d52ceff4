import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createProgress } from '../../infra/setup/progress.ts';
import { endProcess } from '../../src/runtime/end-process.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { ImageName } from '../../src/runtime/image.ts';
import { paths } from '../../src/runtime/paths.ts';
import { reportError } from '../../src/runtime/report-error.ts';
import { imagesProgram } from './arguments.ts';
import { buildImages, imageNames } from './build.ts';
import { lintDockerfiles } from './lint.ts';
import { smokeImages } from './smoke.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const program = imagesProgram().action(async ({ only, asBuilt }: { only: string; asBuilt: boolean }) => {
  const wanted = only.split(',').map((name) => name.trim());
  const unknown = wanted.find((name) => !(imageNames as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new RunnerError('RecipeInvalid', `--only names ${unknown}; allowed are ${imageNames.join(', ')}`);
  if (process.getuid?.() !== 0)
    throw new RunnerError('SetupMissing', 'namespaces and mounts are for root; type the same command as root');
  const progress = createProgress();
  const work = join(paths().state, 'images');
  mkdirSync(work, { recursive: true });
  await lintDockerfiles(root, paths().cache, progress);
  if (!asBuilt) await buildImages(root, work, wanted as ImageName[], progress);
  await smokeImages(wanted as ImageName[], work, (line) => process.stdout.write(`${line}\n`));
});

try {
  await program.parseAsync();
} catch (error) {
  reportError(error);
}
await endProcess();
