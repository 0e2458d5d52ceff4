import { type Figure, finite, type Metric, ratio, sameLength } from './figure.ts';

/** Directions of a surface, (n, 3), of any length. */
export interface Normals {
  readonly name: string;
  readonly predicted: ArrayLike<number>;
  /** Pixels of no known normal are the zero vector, or not finite. */
  readonly truth: ArrayLike<number>;
}

const within = [11.25, 22.5, 30];
const pixels = 2 + within.length;
const without = pixels + 1;

/**
 * Angle between predicted and true normals in degrees: `rmse`, `mean`, and the shares under 11.25, 22.5 and 30 degrees (Probe3D).
 * `average` as in depth.ts. A prediction of no direction is 90 degrees off. Cost: one pass.
 */
export function normals({ average = 'image' }: { readonly average?: 'image' | 'pixel' } = {}): Metric<Normals> {
  return {
    width: without + 1,
    tally({ name, predicted, truth }, sums) {
      sameLength(name, 'the prediction', predicted.length, truth.length);
      finite(name, 'the predicted normals', predicted);
      const own = new Float64Array(pixels + 1);
      for (let i = 0; i + 2 < truth.length; i += 3) {
        const [x, y, z] = [truth[i]!, truth[i + 1]!, truth[i + 2]!];
        const length = x * x + y * y + z * z;
        if (!(Number.isFinite(length) && length > 0)) continue;
        const [u, v, w] = [predicted[i]!, predicted[i + 1]!, predicted[i + 2]!];
        // The arc of a tangent is exact where that of a cosine is not: for small angles.
        const across = Math.hypot(y * w - z * v, z * u - x * w, x * v - y * u);
        const along = x * u + y * v + z * w;
        const angle = across === 0 && along === 0 ? 90 : (Math.atan2(across, along) * 180) / Math.PI;
        own[0]! += angle * angle;
        own[1]! += angle;
        for (const [k, bound] of within.entries()) if (angle < bound) own[2 + k]!++;
        own[pixels]!++;
      }
      const n = own[pixels]!;
      if (n === 0) {
        sums[without]!++;
        return;
      }
      const added = average === 'pixel' ? own : [...valuesOf(own, n), 1];
      for (let i = 0; i <= pixels; i++) sums[i]! += added[i]!;
    },
    figures(sums) {
      const of = sums[pixels]!;
      const values = average === 'pixel' && of > 0 ? valuesOf(sums, of) : null;
      return [
        ...['rmse', 'mean', ...within.map((bound) => `within_${bound}`)].map(
          (name, i): Figure => ({ name, value: values ? values[i]! : ratio(sums[i]!, of), of }),
        ),
        ...(sums[without]! > 0 ? [{ name: 'without_truth', value: sums[without]!, of: sums[without]! }] : []),
      ];
    },
  };
}

const valuesOf = (sums: ArrayLike<number>, n: number): number[] => [
  Math.sqrt(sums[0]! / n),
  ...Array.from({ length: pixels - 1 }, (_, i) => sums[1 + i]! / n),
];
