import type { BatchPlan } from '../../recipe/batch-plan.ts';
import type { Box, Pixels } from '../example/pixels.ts';
import { naflexPatches } from './naflex-resize.ts';
import { resizeOf, resizeSquare } from './preprocess.ts';
import type { PixelBox } from './random-crop.ts';

/** The images of a batch, as squares or as patches, filled one by one. */
export interface ImageArrays {
  readonly images: Uint8Array;
  /** What goes with patches: `patchMask` and `spatialShapes`. */
  readonly parts: Readonly<Record<string, Float32Array | Int32Array>>;
  /** Writes what `crop` shows of an image to place `i`. */
  fill(i: number, image: Pixels, crop: Box): void;
}

/** Squares, resized as the recipe says. */
export function squareArrays({ resolution, data }: BatchPlan, count: number): ImageArrays {
  const size = resolution * resolution * 3;
  const images = new Uint8Array(count * size);
  const resize = resizeOf(data);
  return {
    images,
    parts: {},
    fill: (i, image, crop) => resizeSquare(image, resolution, resize, images, i * size, crop),
  };
}

/** Images of any shape, resized and cut into patches as transformers does, padded to `length`. */
export function patchArrays({ patch }: { readonly patch: number }, count: number, length: number): ImageArrays {
  const size = length * patch * patch * 3;
  const images = new Uint8Array(count * size);
  const patchMask = new Float32Array(count * length);
  const spatialShapes = new Int32Array(count * 2);
  return {
    images,
    parts: { patchMask, spatialShapes },
    fill(i, image, crop) {
      const { patches, mask, spatialShape } = naflexPatches(image, patch, length, wholePixels(image, crop));
      images.set(patches, i * size);
      patchMask.set(mask, i * length);
      spatialShapes.set(spatialShape, i * 2);
    },
  };
}

/** Whole pixels of an image that a box shows, at least one. */
function wholePixels(image: Pixels, { x, y, width, height }: Box): PixelBox {
  const span = (from: number, size: number, whole: number) => {
    const first = Math.min(whole - 1, Math.max(0, Math.round(from)));
    return [first, Math.max(first + 1, Math.min(whole, Math.round(from + size)))] as const;
  };
  const [left, right] = span(x, width, image.width);
  const [top, bottom] = span(y, height, image.height);
  return { left, top, width: right - left, height: bottom - top };
}
