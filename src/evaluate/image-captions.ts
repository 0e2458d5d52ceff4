import type { ExampleMeta } from '../data/example/types.ts';
import { foreign, type ReadSettings } from '../recipe/reading.ts';
import type { NamedTexts } from './labels.ts';

/** Captions of an image that count, the first ones: more than any set for retrieval has, and no image fills the memory. */
export const mostCaptions = 16;

/** How many captions of an image each stand for it alone; null where a text is of a whole concept, as labels are. */
export function captionsThatCount(read: ReadSettings | undefined): number | null {
  const own = foreign(read);
  if (!own || own.captions === 'class' || own.draw === 'joined') return null;
  return own.draw === 'first' ? 1 : mostCaptions;
}

/** The captions of images by number: in retrieval each is a query, and any of an image's is right for it. */
export class ImageCaptions {
  readonly #most: number;
  readonly #found: Map<string, { texts: string[]; fields: number[]; images: number[] }>;

  constructor(languages: readonly string[], most: number) {
    this.#most = most;
    this.#found = new Map(languages.map((language) => [language, { texts: [], fields: [], images: [] }]));
  }

  add(image: number, { captions, fields }: Pick<ExampleMeta, 'captions' | 'fields'>): void {
    for (const [language, found] of this.#found) {
      const own = Object.hasOwn(captions, language) ? captions[language]!.slice(0, this.#most) : [];
      for (const [i, text] of own.entries()) {
        found.texts.push(text);
        found.images.push(image);
        const field = fields?.[language]?.[i];
        if (field !== undefined) found.fields.push(field);
      }
    }
  }

  /** In the order of the images; `concepts` are their numbers. */
  in(language: string): NamedTexts {
    const { texts, fields, images } = this.#found.get(language) ?? { texts: [], fields: [], images: [] };
    return { texts, ...(fields.length > 0 && { fields }), concepts: Int32Array.from(images) };
  }
}
