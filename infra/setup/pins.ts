import { readFileSync } from 'node:fs';

/**
 * What set-up fetches, by version and SHA-256. The wheels' hashes are those of the package index; the archives'
 * are the vendors', as several package managers' public manifests give them. (TensorFlow's own C archives stop
 * before this version, so there is no such route for it.)
 */
export interface Wheel {
  readonly project: string;
  readonly version: string;
  readonly sha256: string;
}

export interface GoProgram {
  readonly version: string;
  readonly module: string;
  /** Programs of the same module that are built with it, by their names. */
  readonly beside?: Readonly<Record<string, string>>;
  /** `-X` of the linker, for a program that does not know its version without it. */
  readonly versionVariable?: string;
  /** What it is asked for its version with; `--version` when absent. */
  readonly versionArguments?: readonly string[];
  readonly archives: Readonly<Record<string, { readonly url: string; readonly sha256: string }>>;
}

interface Pins {
  readonly tensorflow: {
    readonly version: string;
    readonly tfjs: string;
    readonly wheels: Readonly<Record<string, Wheel>>;
    readonly cuda: Readonly<Record<string, readonly Wheel[]>>;
  };
  /** By architecture. Lints the Dockerfiles. */
  readonly hadolint: Readonly<Record<string, Wheel>>;
  readonly temporal: GoProgram;
  readonly versitygw: GoProgram;
  /** The server alone, as images and clusters run it; the Temporal CLI has one of its own inside. */
  readonly 'temporal-server': GoProgram;
  /** For tests alone. */
  readonly helm: GoProgram;
  readonly kubeconform: GoProgram;
}

export const pins: Pins = JSON.parse(readFileSync(new URL('pins.json', import.meta.url), 'utf8'));
