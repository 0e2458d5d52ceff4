import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { RunnerError } from '../../src/runtime/errors.ts';

const require = createRequire(import.meta.url);

/** A JSON file of an installed package, such as `@iconify-json/noto/icons.json`. SetupMissing in an image, which has no pictures. */
export function packageJson<T>(path: string): T {
  return JSON.parse(readFileSync(find(path), 'utf8')) as T;
}

function find(path: string): string {
  try {
    return require.resolve(path);
  } catch (cause) {
    throw new RunnerError(
      'SetupMissing',
      `drawing emoji takes ${path}, which a clone of the project installs and an image has not; type the same command in a clone`,
      { cause },
    );
  }
}
