import { readConcepts } from '../../infra/emoji/concepts.ts';
import type { EmojiExample } from '../../infra/emoji/draw.ts';
import { examplesInputs, examplesOf, someConcepts, writeShards } from '../../infra/emoji/examples.ts';
import { readIconNames } from '../../infra/emoji/icons.ts';
import { type MadeShard, makeOnce } from '../../infra/emoji/record.ts';
import { heldOutStyle, trainStyles } from '../../infra/emoji/styles.ts';
import { hashJson } from '../../src/runtime/hash.ts';
import { permutation, randomStream } from '../../src/runtime/random.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { splitExamples } from './data.ts';

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

interface LongerDataset {
  readonly examples: Readonly<Record<SetName, number>>;
  readonly shards: readonly MadeShard[];
  readonly inputs: string;
}

/**
 * The old styles with two kinds of texts: the English label, and everything that an emoji is called in six languages, in an order
 * in which no place says more than another. It is another one at each look in training, and the same one where it is tested.
 */
export async function makeLongerDataset(
  store: ObjectStore,
  { log = () => {}, concepts: count }: { readonly log?: (line: string) => void; readonly concepts?: number } = {},
): Promise<LongerDataset> {
  const inputs = hashJson([...examplesInputs(prefix, count), version]);
  const { set } = await makeOnce<LongerDataset>(store, prefix, inputs, async () => {
    const all = readConcepts();
    const names = readIconNames(all);
    const split = splitExamples(examplesOf([...trainStyles, heldOutStyle], someConcepts(all, names, count), names));
    const shards: MadeShard[] = [];
    for (const name of sets) {
      log(`${longerPlaceOf(name)}: drawing ${split[name].length} pictures`);
      const own = split[name].map((example) => withLongText(example, name === 'old/test'));
      shards.push(...(await writeShards(store, longerPlaceOf(name), name.replace('/', '-'), own, () => {})));
    }
    const counts = sets.map((name) => [name, split[name].length]);
    return { examples: Object.fromEntries(counts) as Record<SetName, number>, shards };
  });
  return set;
}

/** @param joined one text; else a list, of which the loader joins all in an order of its own, but for the first */
function withLongText(example: EmojiExample, joined: boolean): EmojiExample {
  const { captions, concept } = example.meta;
  const words = [...new Set(languages.flatMap((language) => captions[language] ?? []))];
  const order = permutation(words.length, randomStream(0, `emoji-longer-${concept}`));
  const mixed = Array.from(order, (i) => words[i]!);
  const texts = { [kinds.short]: [captions.en![0]!], [kinds.long]: joined ? [mixed.join(', ')] : mixed };
  return { ...example, meta: { ...example.meta, captions: texts } };
}
