import type { Pixels } from '../data/example/pixels.ts';
import { type NaflexImage, naflexPatches } from '../data/views/naflex-resize.ts';
import { squarePixels } from '../data/views/preprocess.ts';
import type { Embedder } from '../model/embed.ts';
import { patchGrid } from '../model/parameters.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { Resize } from '../recipe/schema.ts';

/**
 * What a model is shown of whole images: squares as in training, or as many patches as it has stored positions. Of an
 * image that is prepared no more is held than goes into the model.
 */
export interface ImageInput<T = unknown> {
  prepare(image: Pixels): T;
  /** (n, E), normalised. */
  embed(embedder: Embedder, prepared: readonly T[]): Float32Array;
}

export function imageInput(model: ModelConfig, resize: Resize): ImageInput {
  return model.vision.kind === 'naflex' ? patches(model) : squares(model, resize);
}

/** Patches of an image for a NaFlex model: its embedder is opened for so many. */
export function storedPatches(model: ModelConfig): number {
  return patchGrid(model) ** 2;
}

function patches(model: ModelConfig): ImageInput<NaflexImage> {
  const length = storedPatches(model);
  return {
    prepare: (image) => naflexPatches(image, model.vision.patch, length),
    embed: (embedder, prepared) => embedder.patches(prepared),
  };
}

function squares({ vision: { resolution } }: ModelConfig, resize: Resize): ImageInput<Uint8Array> {
  return {
    prepare: (image) => squarePixels(image, resolution, resize),
    embed: (embedder, prepared) => embedder.images(Buffer.concat(prepared)),
  };
}
