import type { Sheet } from '../evaluate/sheet/sheet.ts';
import { type Album, type Pictured, wrapped } from './album.ts';
import { escaped } from './escape.ts';
import { classOf } from './line-chart.ts';

type Box = Sheet['boxes'][number]['boxes'][number]['box'];

function boxRect(
  [top, left, bottom, right]: Box,
  colour: number,
  { width, height }: { width: number; height: number },
  dashed: boolean,
) {
  const at = (name: string, value: number) => `${name}="${value.toFixed(1)}"`;
  const place = [
    at('x', left * width),
    at('y', top * height),
    at('width', Math.max(0, right - left) * width),
    at('height', Math.max(0, bottom - top) * height),
  ];
  return `<rect class="box ${classOf(colour)}${dashed ? ' dashed' : ''}" ${place.join(' ')}/>`;
}

const swatch = (k: number, dashed: boolean) =>
  `<svg class="swatch" aria-hidden="true"><line class="${classOf(k)}${dashed ? ' dashed' : ''}" x1="0" x2="22" y1="6" y2="6"/></svg>`;

/** A picture with what an evaluator found in it: true boxes drawn through, found ones dashed, both in the colour of their text. */
export function foundBoxes({ id, by, boxes }: Sheet['found'][number], album: Album): Pictured {
  const size = album.sizeOf(id);
  const over = boxes.flatMap(({ truth, found }, k) => [
    ...(truth ? [boxRect(truth, k, size, false)] : []),
    ...(found ? [boxRect(found, k, size, true)] : []),
  ]);
  const key = boxes.map(({ text, truth, found }, k) => {
    const none = found === null && truth !== null && by.startsWith('referring') ? ': no box was said' : '';
    return `<li>${swatch(k, truth === null)}${escaped(text, 160)}${none}</li>`;
  });
  return wrapped(
    `<div class="found"><p>${escaped(by, 60)}</p><div class="beside">`,
    album.show(id, 'a picture with true boxes and those that were found', { over: over.join('') }),
    `<ul class="key">${key.join('')}</ul></div></div>`,
  );
}

/** A picture with the boxes that the data have. */
export function boxed(id: string, boxes: Sheet['boxes'][number]['boxes'], album: Album): Pictured {
  const size = album.sizeOf(id);
  const over = boxes.map(({ box }, k) => boxRect(box, k, size, false));
  const key = boxes.map(({ text }, k) => `<li>${swatch(k, false)}${escaped(text, 160)}</li>`);
  return wrapped(
    '<div class="beside">',
    album.show(id, 'a picture with boxes', { over: over.join('') }),
    `<ul class="key">${key.join('')}</ul></div>`,
  );
}
