import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Progress } from '../../infra/setup/progress.ts';
import { runTool } from '../../infra/setup/run-tool.ts';
import type { ImageName } from '../../src/runtime/image.ts';
import { images } from '../../src/runtime/image.ts';
import { codeVersion } from '../../src/runtime/version.ts';
import { provideStandIn } from './stand-in.ts';

export const imageNames = Object.keys(images) as ImageName[];
export const tagOf = (image: ImageName): string => `siglip2-runner:${codeVersion()}-${image}`;

/** The official image that ours begin with, pulled or, where no registry answers, made here. Says which of the two. */
async function provideBase(root: string, work: string, progress: Progress): Promise<void> {
  const dockerfile = readFileSync(join(root, 'infra/images/Dockerfile'), 'utf8');
  const version = /^ARG NODE_VERSION=(\S+)$/m.exec(dockerfile)![1]!;
  const base = `docker.io/library/node:${version}-bookworm-slim`;
  const pulled = await runTool('buildah', ['pull', '--quiet', '--policy=missing', base]).then(
    () => true,
    () => false,
  );
  if (!pulled) await provideStandIn(base, work, progress);
}

/** Builds images by the Dockerfile with buildah, without a daemon. Layers are kept for the next time. */
export async function buildImages(
  root: string,
  work: string,
  wanted: readonly ImageName[],
  progress: Progress,
): Promise<void> {
  await provideBase(root, work, progress);
  const revision = await runTool('git', ['describe', '--always', '--dirty', '--abbrev=40'], { cwd: root });
  for (const image of wanted)
    await progress.during(`Building ${tagOf(image)}`, () =>
      runTool('buildah', [
        ...['bud', '--isolation=chroot', '--format=docker', '--pull=never', '--layers'],
        ...['--build-arg', `VERSION=${codeVersion()}`, '--build-arg', `REVISION=${revision.trim()}`],
        ...['--file', join(root, 'infra/images/Dockerfile'), '--target', image, '--tag', tagOf(image), root],
      ]),
    );
}
