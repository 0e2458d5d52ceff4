import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import { escaped } from './escape.ts';
import { brief } from './numbers.ts';
import { thinned } from './thin.ts';
import type { Point } from './types.ts';

export interface ChartLine {
  readonly label: string;
  readonly points: readonly Point[];
  /** Which of the colours; lines of one phase have the same in every chart. */
  readonly colour: number;
}

const [width, height] = [400, 240];
const margin = { top: 12, right: 14, bottom: 34, left: 52 };
/** Colours of the style sheet; the lines after them are dashed. */
const colours = 8;
/** From this ratio on the low values of a curve would lie on the axis. */
const wide = 20;

/**
 * Lines over steps as one figure with a key, a picture for eyes and the numbers as text. Nothing where no line has a point.
 * `straight`: never logarithmic.
 */
export function lineChart(title: string, lines: readonly ChartLine[], { straight = false } = {}): string {
  const drawn = lines.map((one) => ({ ...one, points: thinned(one.points) })).filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return '';
  const all = drawn.flatMap(({ points }) => points);
  const [left, right] = extent(all.map(([step]) => step));
  const [low, high] = extent(all.map(([, value]) => value));
  const x = scaleLinear([left, right === left ? left + 1 : right], [margin.left, width - margin.right]);
  const isLog = !straight && low > 0 && high / low > wide && high !== low;
  const y = (isLog ? scaleLog() : scaleLinear())
    .domain(low === high ? around(low) : [low, high])
    .range([height - margin.bottom, margin.top])
    .nice();
  const path = line<Point>(
    ([step]) => x(step),
    ([, value]) => y(value),
  ).digits(1);
  const ticksY = isLog ? logTicks(y.domain() as [number, number]) : y.ticks(5);
  const grid = ticksY.map((tick) => {
    const at = y(tick).toFixed(1);
    return `<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${at}" y2="${at}"/><text x="${margin.left - 6}" y="${at}" dy="0.32em" text-anchor="end">${brief(tick)}</text>`;
  });
  const formatX = x.tickFormat(5, '~s');
  const axis = x.ticks(5).map((tick) => {
    const at = x(tick).toFixed(1);
    return `<text x="${at}" y="${height - margin.bottom + 17}" text-anchor="middle">${formatX(tick)}</text>`;
  });
  const paths = drawn.map(
    ({ points, colour, label }) =>
      `<path class="${classOf(colour)}" d="${path(points.length > 1 ? points : [points[0]!, points[0]!])}"><title>${escaped(label)}</title></path>`,
  );
  const key = drawn.map(({ label, colour, points }) => {
    const last = points.at(-1)!;
    return `<li><svg class="swatch" aria-hidden="true"><line class="${classOf(colour)}" x1="0" x2="22" y1="6" y2="6"/></svg>${escaped(label)}: <b>${brief(last[1])}</b> at step ${last[0]}, lowest ${brief(Math.min(...points.map(([, value]) => value)))}</li>`;
  });
  return `<figure>
<figcaption>${escaped(title)}${isLog ? ', logarithmic' : ''}</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)} by step; the numbers follow">
${grid.join('\n')}
${axis.join('\n')}
<text x="${width - margin.right}" y="${height - 2}" text-anchor="end">step</text>
${paths.join('\n')}
</svg>
<ul class="key">${key.join('')}</ul>
</figure>`;
}

export const classOf = (colour: number) => `line c${colour % colours}${colour >= colours ? ' dashed' : ''}`;

function extent(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
}

/** A domain for a curve that does not move. */
const around = (value: number): [number, number] =>
  value === 0 ? [-1, 1] : [value - Math.abs(value) / 2, value + Math.abs(value) / 2];

/** Powers of ten; with halves and fifths where these are few. */
function logTicks([low, high]: [number, number]): number[] {
  const from = Math.floor(Math.log10(low));
  const to = Math.ceil(Math.log10(high));
  const each = Math.ceil((to - from) / 6);
  const factors = to - from <= 2 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = from; power <= to; power += each)
    for (const factor of factors) ticks.push(Number((factor * 10 ** power).toPrecision(3)));
  return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}
