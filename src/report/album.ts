import type { Sheet } from '../evaluate/sheet/sheet.ts';
import { escaped } from './escape.ts';

type Picture = Sheet['pictures'][string];

/** A piece of HTML with pictures in it, and which. */
export interface Pictured {
  readonly html: string;
  readonly ids: readonly string[];
}

/**
 * The pictures of a page, each in it once however often it is shown. What there is no room for is left out with the piece that
 * shows it.
 */
export class Album {
  readonly #known: ReadonlyMap<string, Picture>;
  readonly #taken = new Set<string>();
  #left: number;

  constructor(pictures: ReadonlyMap<string, Picture>, bytes: number) {
    this.#known = pictures;
    this.#left = bytes;
  }

  /** A picture where it is shown, with what is drawn over it; nothing where it is not known. */
  show(id: string, label: string, { over = '', kind = '' }: { over?: string; kind?: string } = {}): Pictured {
    const picture = this.#known.get(id);
    if (!picture) return { html: '', ids: [] };
    const { width, height } = picture;
    return {
      html: `<svg class="thumb${kind === '' ? '' : ` ${kind}`}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label, 160)}"><use href="#p-${id}"/>${over}</svg>`,
      ids: [id],
    };
  }

  sizeOf(id: string): { readonly width: number; readonly height: number } {
    return this.#known.get(id) ?? { width: 0, height: 0 };
  }

  /** The pieces for which there is room, in their order, and how many are left out. */
  take(pieces: readonly Pictured[]): string {
    const kept: string[] = [];
    const said = pieces.filter(({ html }) => html !== '');
    for (const { html, ids } of said) {
      const fresh = [...new Set(ids)].filter((id) => !this.#taken.has(id));
      const bytes = fresh.reduce((sum, id) => sum + this.#symbol(id).length, Buffer.byteLength(html));
      if (bytes > this.#left) break;
      this.#left -= bytes;
      for (const id of fresh) this.#taken.add(id);
      kept.push(html);
    }
    const missing = said.length - kept.length;
    return [
      ...kept,
      ...(missing > 0 ? [`<p>${missing} more are not shown: the page would be too large.</p>`] : []),
    ].join('\n');
  }

  /** What has to be in the page for its pictures to be seen. */
  get symbols(): string {
    if (this.#taken.size === 0) return '';
    const symbols = [...this.#taken].sort().map((id) => this.#symbol(id));
    return `<svg class="album" width="0" height="0" aria-hidden="true">\n${symbols.join('\n')}\n</svg>`;
  }

  #symbol(id: string): string {
    const { width, height, webp } = this.#known.get(id)!;
    return `<image id="p-${id}" width="${width}" height="${height}" href="data:image/webp;base64,${webp}"/>`;
  }
}

export const joined = (pieces: readonly Pictured[], between = ''): Pictured => ({
  html: pieces.map(({ html }) => html).join(between),
  ids: pieces.flatMap(({ ids }) => ids),
});

export const wrapped = (before: string, { html, ids }: Pictured, after: string): Pictured => ({
  html: before + html + after,
  ids,
});
