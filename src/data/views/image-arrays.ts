import type { BatchPlan } from '../../recipe/batch-plan.ts';
import type { Box, Pixels } from '../example/pixels.ts';
import { naflexPatches } from './naflex-resize.ts';
import { resizeOf, resizeSquare } from './preprocess.ts';

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
      const { patches, mask, spatialShape } = naflexPatches(cropped(image, crop), patch, length);
      images.set(patches, i * size);
      patchMask.set(mask, i * length);
      spatialShapes.set(spatialShape, i * 2);
    },
  };
}

/** Whole pixels of an image that a box shows, at least one. */
function cropped(image: Pixels, { x, y, width, height }: Box): Pixels {
  const span = (from: number, size: number, whole: number) => {
    const first = Math.min(whole - 1, Math.max(0, Math.round(from)));
    return [first, Math.max(first + 1, Math.min(whole, Math.round(from + size)))] as const;
  };
  const [left, right] = span(x, width, image.width);
  const [top, bottom] = span(y, height, image.height);
  if (right - left === image.width && bottom - top === image.height) return image;
  const line = (right - left) * 3;
  const data = new Uint8Array((bottom - top) * line);
  for (let row = top; row < bottom; row++) {
    const from = (row * image.width + left) * 3;
    data.set(image.data.subarray(from, from + line), (row - top) * line);
  }
  return { width: right - left, height: bottom - top, data };
}
