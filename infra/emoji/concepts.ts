import { packageJson } from './packages.ts';

/** What an emoji means, whoever draws it. */
export interface Concept {
  readonly hexcode: string;
  /** By language: the label, then tags that differ from it. */
  readonly captions: Readonly<Record<string, readonly string[]>>;
}

interface EmojibaseEntry {
  readonly hexcode: string;
  readonly label: string;
  readonly tags?: readonly string[];
  readonly group?: number;
  readonly order?: number;
}

export const languages = ['en', 'de', 'es', 'fr', 'hi', 'it', 'ja', 'ko', 'pt', 'ru', 'zh'] as const;

// Skin tones and hair by themselves: parts of other emoji.
const componentGroup = 2;

/**
 * Every emoji of emojibase in Unicode's order, without letters (regional indicators) and components. Skin tone
 * variants are not concepts of their own: emojibase lists them within their parents.
 */
export function readConcepts(): Concept[] {
  const entries = packageJson<EmojibaseEntry[]>('emojibase-data/en/data.json')
    .filter(({ group }) => group !== undefined && group !== componentGroup)
    .sort((a, b) => (a.order ?? 0) - (b.order ?? 0));
  const captions = new Map<string, Record<string, string[]>>(entries.map(({ hexcode }) => [hexcode, {}]));
  for (const language of languages) {
    for (const { hexcode, label, tags } of packageJson<EmojibaseEntry[]>(`emojibase-data/${language}/data.json`)) {
      const own = captions.get(hexcode);
      if (own) own[language] = [...new Set([label, ...(tags ?? [])])];
    }
  }
  return entries.map(({ hexcode }) => ({ hexcode, captions: captions.get(hexcode)! }));
}

/** Code points without the variation selector, which sets write or leave out at will. */
export function bareHexcode(hexcode: string): string {
  return hexcode.toUpperCase().replace(/-?FE0F/g, '');
}
