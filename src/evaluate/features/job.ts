import type { ModelConfig } from '../../model/sizes.ts';
import type { ClassSpec, ImageSpec } from './spec.ts';

/** Makes one part of features and writes it to `out`. Answers null when it was stopped. */
export interface EmbedJob {
  readonly kind: 'embed';
  /** Local folder with model.safetensors. */
  readonly folder: string;
  readonly model: ModelConfig;
  readonly part: number;
  readonly out: string;
  readonly codeVersion: string;
  readonly of: { readonly images: ImageSpec; readonly indexFile: string } | { readonly classes: ClassSpec };
}

export interface EmbeddedPart {
  readonly bytes: number;
  readonly sha256: string;
  readonly examples: number;
  /** Examples that could not be used. */
  readonly skipped: number;
}

export interface EmbedEvents {
  note(text: string): void;
  /** Aborted when nobody wants the result any more. */
  readonly signal: AbortSignal;
}
