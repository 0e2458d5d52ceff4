/**
 * How positions of texts become more. Texts begin at the first position, so that those of the beginning are what a model learned
 * most about; and they are pooled at the last. longClip: the first 20 as they are, the others spread evenly, beyond the last
 * along the line of the last two (Long-CLIP, arXiv 2403.15378, with as many for each as asked for, where it has four). beginning:
 * the same, but the last stays the last. even: all of them spread, first on first and last on last.
 */
export const positionStretches = ['beginning', 'longClip', 'even'] as const;
export type PositionStretch = (typeof positionStretches)[number];

/** Positions at the beginning that stay as they are. */
const kept = 20;

/** Position embeddings of longer texts: (from, D) -> (to, D). */
export function stretchPositions(
  table: Float32Array,
  from: number,
  to: number,
  how: PositionStretch,
): Float32Array<ArrayBuffer> {
  const width = table.length / from;
  // Of so few that nothing would be left to spread, none is kept.
  const first = how === 'even' || from <= kept + 1 || to <= kept + 1 ? 0 : kept;
  const [before, after] = [from - first, to - first];
  const pace = how === 'longClip' ? before / after : (before - 1) / Math.max(1, after - 1);
  const stretched = new Float32Array(to * width);
  stretched.set(table.subarray(0, first * width));
  for (let j = 0; j < after; j++) {
    const place = j * pace;
    const left = Math.max(0, Math.min(Math.floor(place), before - 2));
    const right = Math.min(left + 1, before - 1);
    for (let k = 0; k < width; k++) {
      const a = table[(first + left) * width + k]!;
      const b = table[(first + right) * width + k]!;
      stretched[(first + j) * width + k] = a + (place - left) * (b - a);
    }
  }
  return stretched;
}
