import type { Point } from './types.ts';

/**
 * At most 2 * bins + 2 of the points: of each of equal parts of the steps the lowest and the highest, and the first and last
 * of all, so that a spike of one step is seen among a million. What is not finite is left out. Cost: one pass.
 */
export function thinned(points: readonly Point[], bins = 160): readonly Point[] {
  const finite = points.filter(([, value]) => Number.isFinite(value));
  if (finite.length <= 2 * bins + 2) return finite;
  const [first, last] = [finite[0]!, finite.at(-1)!];
  const width = (last[0] - first[0]) / bins || 1;
  const kept: Point[] = [first];
  let [bin, low, high] = [-1, first, first];
  const close = () => {
    if (bin < 0) return;
    for (const point of low[0] < high[0] ? [low, high] : [high, low]) if (point !== kept.at(-1)) kept.push(point);
  };
  for (const point of finite) {
    const own = Math.min(bins - 1, Math.floor((point[0] - first[0]) / width));
    if (own !== bin) {
      close();
      [bin, low, high] = [own, point, point];
    }
    if (point[1] < low[1]) low = point;
    if (point[1] > high[1]) high = point;
  }
  close();
  if (kept.at(-1) !== last) kept.push(last);
  return kept;
}
