import { namePattern, type PhaseKey, phasePrefix } from './keys.ts';
import type { StateFile } from './types.ts';

/**
 * Of a phase with adapters all else stays as it is: each of its checkpoints names the same file of it, the two towers without
 * adapters. It lies once for a revision of a phase, under its own hash, and goes when no commit of it is left that names it.
 */
export const baseFile = 'base.safetensors';

export interface BaseKey extends PhaseKey {
  readonly revision: number;
  readonly sha256: string;
}

const revisionPrefix = ({ revision, ...phase }: PhaseKey & { readonly revision: number }) =>
  `${phasePrefix(phase)}r${revision}/`;

export const baseKey = (at: BaseKey): string => `${revisionPrefix(at)}base/${at.sha256}.safetensors`;

const basePattern = /^runs\/([^/]+)\/([^/]+)\/r(0|[1-9]\d{0,8})\/base\/([0-9a-f]{64})\.safetensors$/;

/** What the key of such a file says; null for any other key. */
export function parseBaseKey(key: string): BaseKey | null {
  const [, run = '', phase = '', revision, sha256 = ''] = basePattern.exec(key) ?? [];
  if (![run, phase].every((one) => namePattern.test(one))) return null;
  return { run, phase, revision: Number(revision), sha256 };
}

/** Where marks lie of who is about to delete it, beside those of attempts, whose names begin otherwise; ends in /. */
export const baseMarksPrefix = (at: BaseKey): string => `${revisionPrefix(at)}doomed/base-${at.sha256}/`;

/** Where a file of a checkpoint lies. */
export function stateKey(
  { run, phase, revision, prefix }: PhaseKey & { readonly revision: number; readonly prefix: string },
  { path, sha256 }: Pick<StateFile, 'path' | 'sha256'>,
): string {
  return path === baseFile ? baseKey({ run, phase, revision, sha256 }) : prefix + path;
}
