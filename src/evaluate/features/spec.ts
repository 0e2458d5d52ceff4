import type { Mapping, PixelKind } from '../../data/index/types.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import type { CaptionTask } from '../../recipe/caption-tasks.ts';
import type { ReadSettings } from '../../recipe/reading.ts';
import type { Resize } from '../../recipe/schema.ts';
import { hashJson } from '../../runtime/hash.ts';
import type { Sample } from '../tasks/sample.ts';
import type { View } from './view.ts';

/** Raised when the same spec makes other features, or the files have another form. */
const version = 1;

/** All that the features of a set of pictures and their captions depend on. Equal specs share what is stored. */
export interface ImageSpec {
  readonly model: { readonly sha256: string; readonly config: ModelConfig };
  readonly data: { readonly fingerprint: string; readonly read: Mapping | null };
  readonly sample: Sample;
  readonly views: readonly View[];
  readonly resize: Resize;
  /** Whether each patch is stored too. */
  readonly patches: boolean;
  /** Whether what examples say of groups, boxes and questions is kept; absent: it is not. */
  readonly truth?: true;
  /** Truth with a value a pixel that is kept, in its own size; absent: none. */
  readonly pixels?: readonly PixelKind[];
  /** Of a NaFlex model with patches, whether the shape of each picture in patches is kept; absent: it is not. */
  readonly grid?: true;
  /** Whether each patch is kept as the MAP head makes it when it looks at that patch alone; absent: it is not. */
  readonly aligned?: true;
  /** Whether parts say scale and bias of the model's logits; absent: they do not. */
  readonly head?: true;
  /**
   * Whether rows of pictures and of texts both have length 1, or both are as the model makes them; absent: pooled features as it
   * makes them, texts of length 1.
   */
  readonly rows?: 'unit' | 'raw';
  /** Pictures of a part. */
  readonly perPart: number;
  /** Captions of these languages, so many of a picture, put into the templates that its reading names. */
  readonly captions: {
    readonly languages: readonly string[];
    readonly most: number;
    readonly read: Pick<ReadSettings, 'templates' | 'fields'> | null;
  } | null;
  /** Captions of these languages are kept as texts, so many of a picture; absent: none is. */
  readonly texts?: { readonly languages: readonly string[]; readonly most: number };
  /** What the model's own decoder says of each picture is kept; absent: nothing is asked of it. */
  readonly said?: SaidSpec;
  readonly text: TextSpec;
}

/** The decoder of a checkpoint and what it is asked. */
export interface SaidSpec {
  readonly depth: number;
  /** Files of the checkpoint that hold it. */
  readonly files: readonly string[];
  readonly tasks: readonly CaptionTask[];
}

export interface TextSpec {
  readonly case: 'lower' | 'kept';
}

/** All that the embeddings of the names of classes depend on. */
export interface ClassSpec {
  readonly model: ImageSpec['model'];
  readonly names: readonly string[];
  readonly templates: readonly string[];
  /** Classes of a part. */
  readonly perPart: number;
  readonly text: TextSpec;
}

/** A part of either kind is some minutes of work and some megabytes, whatever the whole is. */
const partBytes = 256 * 1024 ** 2;
const mostExamples = 1024;
const promptsOfPart = 8192;

/** Pixels that are reckoned with: ADE20k's are 0.35 million on average, NYU's 0.3 million. */
const pixelsOfPicture = 512 * 1024;
const bytesOfPixel: Readonly<Record<PixelKind, number>> = { mask: 1, depth: 2, normals: 3 };

/**
 * Pictures of a part. Of B/16 at 224 pixels they are 445 with patches, 238 with masks beside: 230 MB at ADE20k's size, and 162
 * with depth: 190 MB at NYU's. A part is in memory while it is made, and a tensor of it while it is looked at.
 */
export function examplesOfPart(
  { vision }: ModelConfig,
  views: readonly View[],
  patches: boolean,
  { pixels = [], aligned }: Pick<ImageSpec, 'pixels' | 'aligned'> = {},
): number {
  if (!patches && !aligned && pixels.length === 0) return mostExamples;
  const { width, patch, kind } = vision;
  const numbers = views.reduce((sum, view) => sum + (kind === 'naflex' ? view : Math.floor(view / patch) ** 2), 0);
  const ofPatches = 4 * width * numbers * ((patches ? 1 : 0) + (aligned ? 1 : 0));
  const ofPixels = pixels.reduce((sum, one) => sum + bytesOfPixel[one] * pixelsOfPicture, 0);
  return Math.max(1, Math.min(mostExamples, Math.floor(partBytes / (ofPatches + ofPixels))));
}

/** Classes of a part. */
export const classesOfPart = (templates: readonly string[]): number =>
  Math.max(1, Math.floor(promptsOfPart / Math.max(1, templates.length)));

export const imageParts = (spec: ImageSpec): number => Math.ceil(spec.sample.examples / spec.perPart);
export const classParts = (spec: ClassSpec): number => Math.ceil(spec.names.length / spec.perPart);

/** sha256 that names all parts of a spec. */
export const specHash = (spec: ImageSpec | ClassSpec): string => hashJson({ version, spec });

/** Where a part lies: by what it was made of, for every evaluation that needs it; or below a prefix of its own, which ends in /. */
export const featureKey = (
  spec: ImageSpec | ClassSpec,
  part: number,
  at = `features/${spec.model.sha256.slice(0, 16)}/`,
): string => `${at}${specHash(spec).slice(0, 16)}/${String(part).padStart(8, '0')}.safetensors`;
