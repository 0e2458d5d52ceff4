import { readConcepts } from '../../infra/emoji/concepts.ts';
import type { EmojiExample } from '../../infra/emoji/draw.ts';
import { examplesInputs, examplesOf, someConcepts, writeShards } from '../../infra/emoji/examples.ts';
import { readIconNames } from '../../infra/emoji/icons.ts';
import { type MadeShard, makeOnce } from '../../infra/emoji/record.ts';
import { heldOutStyle, trainStyles } from '../../infra/emoji/styles.ts';
import { hashJson } from '../../src/runtime/hash.ts';
import { permutation, randomStream } from '../../src/runtime/random.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';

// Raise it when the same packages would be split otherwise than before.
const version = 1;
const prefix = 'data/emoji-tuning';

/**
 * The five styles that the model learns first, and the one that it never saw. `old/test` and `old/reference` hold no picture
 * of `old/train`, which has their concepts in other styles; what `new/test` shows is in `new/train` in no picture at all.
 */
export const sets = ['old/train', 'old/reference', 'old/test', 'new/train', 'new/test'] as const;
export type SetName = (typeof sets)[number];
export const placeOf = (set: SetName) => `${prefix}/${set}`;

interface Dataset<S extends SetName> {
  readonly examples: Readonly<Record<S, number>>;
  readonly shards: readonly MadeShard[];
  readonly inputs: string;
}

interface SetsToDraw<S extends SetName> {
  readonly prefix: string;
  readonly version: number;
  readonly sets: readonly S[];
  /** What an example of a set is there, itself if nothing is said. */
  readonly as?: (example: EmojiExample, set: S) => EmojiExample;
}

export interface DrawOptions {
  readonly log?: (line: string) => void;
  readonly concepts?: number;
}

/** Draws the sets. Equal packages give equal bytes; what is there already is not made again. */
export const makeTuningDataset = (store: ObjectStore, options: DrawOptions = {}) =>
  drawSets(store, { prefix, version, sets }, options);

/** Draws some of the sets below a prefix of their own. */
export async function drawSets<S extends SetName>(
  store: ObjectStore,
  { prefix, version, sets, as = (example) => example }: SetsToDraw<S>,
  { log = () => {}, concepts: count }: DrawOptions,
): Promise<Dataset<S>> {
  const inputs = hashJson([...examplesInputs(prefix, count), version]);
  const { set } = await makeOnce<Dataset<S>>(store, prefix, inputs, async () => {
    const all = readConcepts();
    const names = readIconNames(all);
    const concepts = someConcepts(all, names, count);
    const split = splitExamples(examplesOf([...trainStyles, heldOutStyle], concepts, names));
    const shards: MadeShard[] = [];
    for (const name of sets) {
      const place = `${prefix}/${name}`;
      log(`${place}: drawing ${split[name].length} pictures`);
      const own = split[name].map((example) => as(example, name));
      shards.push(...(await writeShards(store, place, name.replace('/', '-'), own, () => {})));
    }
    const counts = sets.map((name) => [name, split[name].length]);
    return { examples: Object.fromEntries(counts) as Record<S, number>, shards };
  });
  return set;
}

/**
 * By the place of its concept in a random order of those that the new style draws: every other one is trained on in that
 * style. Of an old style one picture in eight is tested and the next is for reference, of other concepts in each of them.
 */
export function splitExamples(examples: readonly EmojiExample[]): Record<SetName, EmojiExample[]> {
  const split = Object.fromEntries(sets.map((name) => [name, [] as EmojiExample[]])) as Record<SetName, EmojiExample[]>;
  const isNew = ({ meta }: EmojiExample) => meta.style === heldOutStyle.name;
  const concepts = [...new Set(examples.filter(isNew).map(({ meta }) => meta.concept))].sort();
  const order = permutation(concepts.length, randomStream(0, 'emoji-tuning'));
  const place = new Map(concepts.map((concept, i) => [concept, order[i]!]));
  for (const example of examples) {
    const { concept, style } = example.meta;
    const at = place.get(concept);
    const turn = at === undefined ? -1 : (at + trainStyles.findIndex(({ name }) => name === style)) % 8;
    if (isNew(example)) split[at! % 2 === 0 ? 'new/train' : 'new/test'].push(example);
    else split[turn === 0 ? 'old/test' : turn === 1 ? 'old/reference' : 'old/train'].push(example);
  }
  return split;
}
