import { RunnerError } from './errors.ts';
import { variable } from './variables.ts';

/** The container images of `infra/images`, by their targets, and whether TensorFlow is in them. */
export const images = {
  light: { tensorflow: false },
  'worker-cpu': { tensorflow: true },
  'worker-cuda': { tensorflow: true },
} as const;

export type ImageName = keyof typeof images;

/** The image that this process runs in, or null. What an image holds is settled when it is built: nothing sets it up later. */
export function ownImage(env: NodeJS.ProcessEnv = process.env): ImageName | null {
  const name = variable('SIGLIP2_IMAGE', env);
  if (!name) return null;
  if (Object.hasOwn(images, name)) return name as ImageName;
  throw new RunnerError(
    'SetupMissing',
    `SIGLIP2_IMAGE is ${name.slice(0, 100)}; only the images of infra/images set it, to ${Object.keys(images).join(', ')}; unset it`,
  );
}
