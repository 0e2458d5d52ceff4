import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ImageName } from '../../src/runtime/image.ts';
import { type Answer, answerOf } from '../support/answer-of.ts';
import { tagOf } from './build.ts';
import { contain, type ImageConfig, imageConfig, mountImage } from './contain.ts';

type Env = Readonly<Record<string, string>>;

/** An image whose file system is mounted, and a volume for its containers. */
export interface Opened {
  readonly image: ImageName;
  readonly config: ImageConfig;
  /** Starts a container with these arguments behind the entry point. */
  start(args: readonly string[], env?: Env): ReturnType<typeof contain>;
  /** The same, to its end. */
  run(args: readonly string[], env?: Env): Promise<Answer>;
  /** A program of the image in place of its entry point, to its end. */
  inside(command: readonly string[], env?: Env): Promise<Answer>;
  release(): Promise<void>;
}

export async function openImage(image: ImageName, work: string): Promise<Opened> {
  const config = await imageConfig(tagOf(image));
  const { root, release } = await mountImage(tagOf(image));
  const volume = join(work, `volume-${image}`);
  mkdirSync(volume, { recursive: true });
  chownSync(volume, 1000, 1000);
  const start: Opened['start'] = (args, env = {}) =>
    contain(root, config, [...config.entrypoint, ...args], { volume, env });
  return {
    image,
    config,
    start,
    run: (args, env) => answerOf(start(args, env)),
    inside: (command, env = {}) => answerOf(contain(root, config, command, { volume, env })),
    release,
  };
}
