import { hashJson } from '../../src/runtime/hash.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { type Concept, readConcepts } from './concepts.ts';
import { examplesInputs, someConcepts } from './examples.ts';
import { type IconNames, readIconNames } from './icons.ts';
import { figuresOf } from './make.ts';
import { type MadeShard, makeOnce } from './record.ts';
import { type Figure, makeScenes, scenesInputs } from './scenes.ts';
import { makeStrips, stripsInputs } from './strips.ts';
import { type EmojiStyle, heldOutStyle, trainStyles } from './styles.ts';

/** Pictures in each set that is held out. */
export const heldOutPictures = 500;

export interface ComposedOptions {
  readonly log?: (line: string) => void;
  /** Strips to train on, and scenes with masks that probes learn from. */
  readonly train: number;
  /** Pictures in each set that is held out. */
  readonly heldOut?: number;
  /** As for the emoji data set. */
  readonly concepts?: number;
  /** Key prefixes, data/emoji-scenes and data/emoji-strips; shards go to train/ and held-out/ below them. */
  readonly prefixes?: { readonly scenes: string; readonly strips: string };
}

export interface ComposedSet {
  readonly train: string;
  readonly heldOut: string;
  readonly shards: readonly MadeShard[];
  readonly inputs: string;
}

/**
 * What the whole phase graph is looked at by, beside single emoji: strips, and scenes with masks, in the style that is never
 * trained on and in the others. What is there already is not made again.
 */
export async function makeComposedSets(
  store: ObjectStore,
  { log = () => {}, train, heldOut = heldOutPictures, concepts, prefixes }: ComposedOptions,
): Promise<{ scenes: ComposedSet; strips: ComposedSet }> {
  const { scenes, strips } = prefixes ?? { scenes: 'data/emoji-scenes', strips: 'data/emoji-strips' };
  const all = readConcepts();
  const names = readIconNames(all);
  const chosen = someConcepts(all, names, concepts);
  const made = async (prefix: string, make: typeof makeStrips, inputs: string) => {
    const whole = hashJson([...examplesInputs(prefix, concepts), train, heldOut, inputs]);
    const { set, already } = await makeOnce<ComposedSet>(store, prefix, whole, async () => {
      log(`${prefix}: composing ${train + heldOut} pictures`);
      const shards = await make(store, `${prefix}/held-out`, drawings([heldOutStyle], chosen, names), heldOut);
      shards.push(...(await make(store, `${prefix}/train`, drawings(trainStyles, chosen, names), train)));
      return { train: `${prefix}/train`, heldOut: `${prefix}/held-out`, shards };
    });
    if (already) log(`${prefix}: already in the bucket`);
    return set;
  };
  return {
    scenes: await made(scenes, makeMasked, `masks ${scenesInputs()}`),
    strips: await made(strips, makeStrips, stripsInputs()),
  };
}

const makeMasked: typeof makeStrips = (store, prefix, styles, count) =>
  makeScenes(store, prefix, styles, count, { masks: true });

const drawings = (styles: readonly EmojiStyle[], concepts: readonly Concept[], names: IconNames): Figure[][] =>
  styles.map((style) => figuresOf(style, concepts, names));
