import sharp from 'sharp';
import { escaped } from './escape.ts';

/** An example on a sheet. */
export interface SheetExample {
  readonly key: string;
  readonly text: string;
  readonly source: string | null;
  /** Its own score, without those of the examples beside it. */
  readonly score: number;
  readonly chosen: boolean;
  /** (R, R, 3) bytes, as the model saw it. */
  readonly pixels: Uint8Array;
}

/** Pictures with their texts and scores: what a phase of curation found most and least worth learning from. */
export interface CurationSheet {
  readonly title: string;
  /** Side of the pictures in pixels. */
  readonly resolution: number;
  /** Best first. */
  readonly most: readonly SheetExample[];
  /** Worst first. */
  readonly least: readonly SheetExample[];
}

const shownSide = 96;

/** The sheet as one HTML page that needs nothing else. */
export async function curationSheetHtml({ title, resolution, most, least }: CurationSheet): Promise<string> {
  const section = async (heading: string, examples: readonly SheetExample[]) =>
    `<h2>${heading}</h2>\n<main>\n${(await Promise.all(examples.map((one) => figure(one, resolution)))).join('\n')}\n</main>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escaped(title)}</title>
<style>
  body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
  main { display: grid; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); gap: 12px; }
  figure { margin: 0; padding: 8px; border: 1px solid #ddd; border-radius: 6px; overflow-wrap: anywhere; }
  figure.chosen { border-color: #2a7; }
  img { width: ${shownSide}px; height: ${shownSide}px; image-rendering: pixelated; }
  small { color: #666; }
</style>
<h1>${escaped(title)}</h1>
<p>Each with its own score, in nats; framed in green: chosen.</p>
${await section('Most learnable', most)}
${await section('Least learnable', least)}
</html>
`;
}

async function figure({ key, text, source, score, chosen, pixels }: SheetExample, side: number): Promise<string> {
  const raw = { width: side, height: side, channels: 3 as const };
  const png = await sharp(pixels, { raw }).png().toBuffer();
  const from = source === null ? '' : ` &middot; ${escaped(source)}`;
  return `<figure${chosen ? ' class="chosen"' : ''}><img alt="${escaped(text)}" src="data:image/png;base64,${png.toString('base64')}"><br>
${escaped(text)}<br><small>${score.toFixed(3)} &middot; ${escaped(key)}${from}</small></figure>`;
}

const small = 112;

/** The same as JSON, for the report of the run: pictures of at most 112 pixels a side as WebP. */
export async function curationSheetJson({ resolution, most, least }: CurationSheet, step: number): Promise<string> {
  const side = Math.min(small, resolution);
  const half = (examples: readonly SheetExample[]) =>
    Promise.all(
      examples.map(async ({ text, score, chosen, pixels }) => {
        const raw = { width: resolution, height: resolution, channels: 3 as const };
        const webp = await sharp(pixels, { raw }).resize(side, side).webp({ quality: 72 }).toBuffer();
        const picture = { width: side, height: side, webp: webp.toString('base64') };
        return { text: [...text].slice(0, 160).join(''), score, chosen, picture };
      }),
    );
  return `${JSON.stringify({ version: 1, step, most: await half(most), least: await half(least) })}\n`;
}
