import type { Pixels } from '../../data/example/pixels.ts';
import { type NaflexImage, naflexPatches, naflexShape } from '../../data/views/naflex-resize.ts';
import { squarePixels } from '../../data/views/preprocess.ts';
import type { FeatureModel, ImageFeatures } from '../../model/features.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import type { Resize } from '../../recipe/schema.ts';

/** A size that pictures are shown at: side of a square in pixels, or for NaFlex a number of patches. */
export type View = number;

/** Names tensors and results. */
export const viewName = ({ vision: { kind } }: ModelConfig, view: View): string =>
  kind === 'naflex' ? `patches-${view}` : `px-${view}`;

/**
 * How many of a picture's patches at a view are no padding: those of NaFlex by its shape, as `naflexPatches` has it; undefined
 * where none is padding.
 */
export function seenPatches(
  { vision: { kind, patch } }: ModelConfig,
  view: View,
  sizes: readonly (readonly [number, number])[],
): number[] | undefined {
  if (kind !== 'naflex') return undefined;
  return sizes.map(([width, height]) => {
    const [rows, columns] = naflexShape(height, width, patch, view);
    return rows * columns;
  });
}

/**
 * Shares of height and width that patches lie over: NaFlex pictures are brought to whole patches; of a square what does not fill
 * one is cut off.
 */
export function coverOf({ vision: { kind, patch } }: ModelConfig, view: View): readonly [number, number] {
  const share = kind === 'naflex' ? 1 : (Math.floor(view / patch) * patch) / view;
  return [share, share];
}

/** What a model is shown of a whole picture at a size, and what it makes of several. */
export interface Shown<T = unknown> {
  prepare(image: Pixels): T;
  features(model: FeatureModel, prepared: readonly T[]): ImageFeatures;
  /** Rows and columns of patches, where they are not the same for all pictures. */
  grid?(prepared: T): readonly [number, number];
}

export function shownAt(config: ModelConfig, view: View, resize: Resize): Shown {
  return config.vision.kind === 'naflex' ? patched(config, view) : squared(view, resize);
}

const patched = ({ vision: { patch } }: ModelConfig, length: number): Shown<NaflexImage> => ({
  prepare: (image) => naflexPatches(image, patch, length),
  features: (model, prepared) => model.lengths(length, prepared),
  grid: ({ spatialShape }) => spatialShape,
});

const squared = (resolution: number, resize: Resize): Shown<Uint8Array> => ({
  prepare: (image) => squarePixels(image, resolution, resize),
  features: (model, prepared) => model.squares(resolution, Buffer.concat(prepared)),
});
