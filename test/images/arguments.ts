import { Command } from 'commander';
import { images } from '../../src/runtime/image.ts';

/** `npm run images`: the long form of `test/infra/images.test.ts`. Needs root, and Debian's buildah and debootstrap. */
export const imagesProgram = (): Command =>
  new Command('npm run images --')
    .description('Lints and builds the container images without a daemon, starts them, and trains in them.')
    .option('--only <images>', `these alone: ${Object.keys(images).join(', ')}`, 'light,worker-cpu')
    .option('--as-built', 'build nothing: start what is there', false);
