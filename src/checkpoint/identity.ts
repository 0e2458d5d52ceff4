import { sha256 } from '../runtime/hash.ts';
import type { StateFile } from './types.ts';

/**
 * What makes two checkpoints the same: sha256 over one `<sha256>  <path>` line for each state file, sorted by
 * path. In a pulled folder: `sha256sum model.safetensors training-*.safetensors | sha256sum` (LC_ALL=C).
 */
export function checkpointSha256(state: readonly Pick<StateFile, 'path' | 'sha256'>[]): string {
  const sorted = [...state].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return sha256(sorted.map((file) => `${file.sha256}  ${file.path}\n`).join(''));
}
