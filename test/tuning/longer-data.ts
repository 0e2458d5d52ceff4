import type { EmojiExample } from '../../infra/emoji/draw.ts';
import { permutation, randomStream } from '../../src/runtime/random.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { type DrawOptions, drawSets } from './data.ts';

// Raise it when the same packages would give other texts than before.
const version = 1;
const prefix = 'data/emoji-longer';

/** Those of Latin letters: half of all long texts have between 70 and 135 tokens. */
const languages = ['en', 'de', 'es', 'fr', 'it', 'pt'];

/** The language of each kind of text. */
export const kinds = { short: 'en', long: 'en-x-long' } as const;

const sets = ['old/train', 'old/test'] as const;
type SetName = (typeof sets)[number];
export const longerPlaceOf = (set: SetName) => `${prefix}/${set}`;

/**
 * The old styles with two kinds of texts: the English label, and everything that an emoji is called in six languages, in an order
 * in which no place says more than another. It is another one at each look in training, and the same one where it is tested.
 */
export const makeLongerDataset = (store: ObjectStore, options: DrawOptions = {}) =>
  drawSets(store, { prefix, version, sets, as: (example, set) => withLongText(example, set === 'old/test') }, options);

/** @param joined one text; else a list, of which the loader joins all in an order of its own, but for the first */
function withLongText(example: EmojiExample, joined: boolean): EmojiExample {
  const { captions, concept } = example.meta;
  const words = [...new Set(languages.flatMap((language) => captions[language] ?? []))];
  const order = permutation(words.length, randomStream(0, `emoji-longer-${concept}`));
  const mixed = Array.from(order, (i) => words[i]!);
  const texts = { [kinds.short]: [captions.en![0]!], [kinds.long]: joined ? [mixed.join(', ')] : mixed };
  return { ...example, meta: { ...example.meta, captions: texts } };
}
