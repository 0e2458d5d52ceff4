import { attentionTo, type MapAttention } from '../../model/map-attention.ts';
import { dot, joinedRows, type Matrix, rowCount } from '../numbers/matrix.ts';
import { principalOf, projected } from '../numbers/principal.ts';
import { maskColours, type Sheet } from './sheet.ts';
import { mapPng } from './thumbnails.ts';

/** A picture's patches, (h w, D), without padding. */
export interface MappedPicture {
  readonly id: string;
  readonly grid: readonly [height: number, width: number];
  readonly patches: Float32Array;
  /** Each patch as the MAP head makes it alone, where texts lie. */
  readonly aligned: Float32Array;
}

/**
 * Which of some texts each patch of a picture is nearest to, as TIPS and SigLIP 2 segment by texts: patches through the MAP head
 * alone, by their cosines. `texts`: (k, D) of length 1, at most as many as there are colours.
 */
export async function maskOf({ grid: [h, w], aligned }: MappedPicture, texts: Matrix): Promise<string> {
  const { width } = texts;
  const k = rowCount(texts);
  const rgb = maskColours.map((colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)));
  const bytes = new Uint8Array(h * w * 3);
  for (let i = 0; i < h * w; i++) {
    // A length is the same for all texts, and changes no order.
    const patch = { width, rows: aligned.subarray(i * width, (i + 1) * width) };
    let [best, most] = [0, Number.NEGATIVE_INFINITY];
    for (let text = 0; text < k; text++) {
      const score = dot(patch, 0, texts, text);
      if (score > most) [best, most] = [text, score];
    }
    bytes.set(rgb[best]!, i * 3);
  }
  return mapPng(bytes, h, w, 3);
}

/** Shares of the values that are left out at each end of a colour. */
const outer = 0.02;

/** The patches of some pictures in common colours, and where the MAP head looks in each: brightest where it looks most. */
export async function mapsOf(pictures: readonly MappedPicture[], head: MapAttention): Promise<Sheet['maps']> {
  if (pictures.length === 0) return [];
  const { width } = head;
  const rows = joinedRows(pictures.map(({ patches }) => patches));
  const all = projected({ width, rows }, principalOf({ width, rows }, 3));
  const channels = all.length / (rows.length / width);
  const ranges = Array.from({ length: channels }, (_, k) => rangeOf(all.filter((_, i) => i % channels === k)));
  const maps: Sheet['maps'] = [];
  let at = 0;
  for (const { id, grid, patches } of pictures) {
    const [h, w] = grid;
    const colours = new Uint8Array(h * w * 3);
    for (let i = 0; i < h * w; i++)
      for (let k = 0; k < channels; k++) {
        const [low, high] = ranges[k]!;
        colours[i * 3 + k] = byteOf((all[(at + i) * channels + k]! - low) / (high - low || 1));
      }
    at += h * w;
    const shares = attentionTo(head, patches);
    const mean = Float64Array.from({ length: h * w }, (_, i) => {
      let sum = 0;
      for (let one = 0; one < head.heads; one++) sum += shares[one * h * w + i]!;
      return sum / head.heads;
    });
    const most = mean.reduce((a, b) => Math.max(a, b), 0);
    const bright = Uint8Array.from(mean, (share) => byteOf(Math.sqrt(share / most)));
    maps.push({ id, patches: await mapPng(colours, h, w, 3), attention: await mapPng(bright, h, w, 1) });
  }
  return maps;
}

function rangeOf(values: Float64Array): [number, number] {
  const sorted = values.slice().sort();
  const place = Math.floor(outer * (sorted.length - 1));
  return [sorted[place]!, sorted[sorted.length - 1 - place]!];
}

const byteOf = (share: number) => Math.round(255 * Math.min(1, Math.max(0, share)));
