import { scaleUtc } from 'd3-scale';
import {
  type SymbolType,
  symbol,
  symbolCircle,
  symbolCross,
  symbolDiamond,
  symbolSquare,
  symbolStar,
  symbolTriangle,
  symbolWye,
} from 'd3-shape';
import { escaped } from './escape.ts';
import { classOf } from './line-chart.ts';
import { spanText, timeText } from './numbers.ts';
import { type EventKind, eventKinds, type PhaseReport } from './types.ts';

const rowHeight = 46;
const axisHeight = 24;
/** Of ticks, bars and dots each, in all rows together. */
const mostMarks = 700;
/** In a row more would be one black bar. */
const mostOfRow = 200;
const longestTitle = 60;
const dayMs = 24 * 3_600_000;

/** The mark of each kind of event, and what it is called. */
export const marks: Readonly<Record<EventKind, readonly [SymbolType, string]>> = {
  gap: [symbolCircle, 'no steps'],
  retry: [symbolTriangle, 'killed or tried again'],
  back: [symbolDiamond, 'went back'],
  changed: [symbolSquare, 'asked for or changed'],
  paused: [symbolCross, 'paused or stopped'],
  failed: [symbolStar, 'failed'],
  note: [symbolWye, 'other'],
};
const markOf = (kind: EventKind) => `<path class="event" d="${symbol(marks[kind][0], 70).digits(1)()}"/>`;

/** The marks that are drawn, with their names. */
export function markKey(phases: readonly PhaseReport[]): string {
  const used = new Set(phases.flatMap(({ events }) => events.map(({ kind }) => kind)));
  const lines = eventKinds
    .filter((kind) => used.has(kind))
    .map(
      (kind) =>
        `<li><svg class="swatch" aria-hidden="true"><g transform="translate(11 6)">${markOf(kind)}</g></svg>${marks[kind][1]}</li>`,
    );
  return lines.length === 0 ? '' : `<ul class="key inline">${lines.join('')}</ul>`;
}

/**
 * When each phase trained: bars, checkpoints as ticks on them, events as marks, and a line from the end of a phase to the start
 * of one that goes on from it. Places are percents and texts are pixels, so it can be read at any width.
 */
export function timeline(phases: readonly PhaseReport[]): string {
  const times = phases.flatMap(({ spans }) => spans.flat());
  if (times.length === 0) return '';
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const scale = scaleUtc([from, to === from ? from + 1000 : to], [1, 99]);
  const x = (time: number) => `${Math.min(99, Math.max(1, scale(time))).toFixed(2)}%`;
  const most = Math.min(mostOfRow, Math.ceil(mostMarks / phases.length));
  const rows = phases.map((phase, i) => row(phase, i, x, most));
  const links = phases.flatMap((phase, i) => {
    const at = phases.findIndex(({ name }) => name === phase.parent);
    const begins = phase.spans[0]?.[0];
    if (at < 0 || at >= i || begins === undefined || phases[at]!.spans.length === 0) return [];
    return [
      `<line class="link" x1="${x(begins)}" x2="${x(begins)}" y1="${at * rowHeight + 38}" y2="${i * rowHeight + 24}"/>`,
    ];
  });
  const height = phases.length * rowHeight + axisHeight;
  const ticks = scale.ticks(4).map((tick) => {
    const share = scale(tick);
    const anchor = share < 8 ? 'start' : share > 92 ? 'end' : 'middle';
    return `<line class="grid" x1="${x(+tick)}" x2="${x(+tick)}" y1="0" y2="${height - axisHeight}"/><text x="${x(+tick)}" y="${height - 6}" text-anchor="${anchor}">${tickText(+tick, to - from)}</text>`;
  });
  return `<figure class="whole">
<figcaption>${timeText(from)} to ${timeText(to)} UTC, ${spanText(to - from)}</figcaption>
<svg class="timeline" height="${height}" role="img" aria-label="Phases over time; the tables have the same in text">
${[...ticks, ...links, ...rows].join('\n')}
</svg>
</figure>`;
}

function row(
  { name, parent, spans, checkpoints, events, ended }: PhaseReport,
  i: number,
  x: (time: number) => string,
  most: number,
) {
  const top = i * rowHeight;
  const place = spans.length > 0 ? spans[0]![0] : null;
  const bars = spans.slice(0, most).map(([from, to]) => {
    const [left, right] = [x(from), x(to)].map((percent) => Number.parseFloat(percent)) as [number, number];
    return `<rect class="bar ${classOf(i)}" x="${left.toFixed(2)}%" width="${Math.max(0.4, right - left).toFixed(2)}%" y="${top + 24}" height="14"><title>${escaped(name, longestTitle)}: ${timeText(from)} to ${timeText(to)}</title></rect>`;
  });
  const each = Math.ceil(checkpoints.length / most);
  const ticks = checkpoints
    .filter((_, k) => k % each === 0)
    .map(
      ({ step, time }) =>
        `<line class="tick" x1="${x(time)}" x2="${x(time)}" y1="${top + 24}" y2="${top + 38}"><title>checkpoint at step ${step}, ${timeText(time)}</title></line>`,
    );
  const dots = events
    .slice(-most)
    .map(
      ({ time, text, kind }) =>
        `<svg x="${x(time)}" y="${top + 31}" width="1" height="1" overflow="visible"><title>${escaped(text, longestTitle)}</title>${markOf(kind)}</svg>`,
    );
  const said = `${escaped(name)}${parent === null ? '' : ` from ${escaped(parent)}`}${place === null ? ': no step is recorded' : ended ? '' : ', not ended'}`;
  // A label of a late phase would leave the picture on the right.
  const late = place !== null && Number.parseFloat(x(place)) > 55;
  const at = place === null ? '1%' : late ? x(spans.at(-1)![1]) : x(place);
  return `<text class="name" x="${at}" y="${top + 17}" text-anchor="${late ? 'end' : 'start'}">${said}</text>${bars.join('')}${ticks.join('')}${dots.join('')}`;
}

/** As much of a time as tells ticks apart. */
function tickText(time: number, span: number): string {
  const text = timeText(time);
  if (span < 5 * 60_000) return text.slice(11);
  return span < dayMs ? text.slice(11, 16) : span < 4 * dayMs ? text.slice(5, 16) : text.slice(0, 10);
}
