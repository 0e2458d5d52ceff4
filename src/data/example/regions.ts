import { CorruptExample } from './corrupt-example.ts';
import type { Box } from './pixels.ts';

/** A described part of an image: `box` is [top, left, bottom, right] in shares of the image's sides. */
export interface Region {
  readonly caption: string;
  readonly box: readonly [number, number, number, number];
}

/** Boxes are written with whole numbers up to this (LocCa). */
export const boxSteps = 500;
const mostRegions = 1000;

/** `regions` of a JSON member: absent is none. Throws `CorruptExample` for what is no list of captions and boxes. */
export function parseRegions(value: unknown): readonly Region[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > mostRegions) {
    throw new CorruptExample(`regions is not a list of at most ${mostRegions}`);
  }
  return value.map((region, i) => {
    const { caption, box } = (region ?? {}) as { caption?: unknown; box?: unknown };
    if (typeof caption !== 'string' || caption.trim() === '') throw new CorruptExample(`regions.${i} has no caption`);
    const sides = boxOf(box);
    if (!sides) throw new CorruptExample(`regions.${i}.box is not [top, left, bottom, right] in shares of the image`);
    return { caption, box: sides };
  });
}

/** [top, left, bottom, right] in shares of the image; null for what is none. */
export function boxOf(box: unknown): Region['box'] | null {
  if (!Array.isArray(box) || box.length !== 4 || !box.every((side) => Number.isFinite(side))) return null;
  const [top, left, bottom, right] = box as [number, number, number, number];
  return top < 0 || left < 0 || bottom > 1 || right > 1 || top >= bottom || left >= right
    ? null
    : [top, left, bottom, right];
}

/**
 * Regions as they lie in the part of an image that is seen: `crop` in pixels of an image of that size. Those of which
 * less than half is seen are left out.
 */
export function seenRegions(
  regions: readonly Region[],
  image: { readonly width: number; readonly height: number },
  crop: Box,
): Region[] {
  return regions.flatMap(({ caption, box: [top, left, bottom, right] }) => {
    const y = (share: number) => (share * image.height - crop.y) / crop.height;
    const x = (share: number) => (share * image.width - crop.x) / crop.width;
    const clip = (share: number) => Math.min(1, Math.max(0, share));
    const whole = (y(bottom) - y(top)) * (x(right) - x(left));
    const box = [clip(y(top)), clip(x(left)), clip(y(bottom)), clip(x(right))] as const;
    return (box[2] - box[0]) * (box[3] - box[1]) < 0.5 * whole ? [] : [{ caption, box }];
  });
}

/** A box in words: whole numbers of 0 to 500, top left bottom right. */
export const boxText = ({ box }: Region) => box.map((side) => Math.round(side * boxSteps)).join(' ');
