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
  /** Strips to train on. */
  readonly train: number;
  /** Pictures in each set that is held out. */
  readonly heldOut?: number;
  /** As for the emoji data set. */
  readonly concepts?: number;
  /** Key prefixes, data/emoji-scenes and data/emoji-strips; shards go to train/ and held-out/ below them. */
  readonly prefixes?: { readonly scenes: string; readonly strips: string };
}

export interface ComposedSet {
  /** Where what is trained on lies; null where there is none. */
  readonly train: string | null;
  readonly heldOut: string;
  readonly shards: readonly MadeShard[];
  readonly inputs: string;
}

/**
 * What the whole phase graph is looked at by, beside single emoji: scenes and strips in the style that is never trained on,
 * and strips to train on. What is there already is not made again.
 */
export async function makeComposedSets(
  store: ObjectStore,
  { log = () => {}, train, heldOut = heldOutPictures, concepts, prefixes }: ComposedOptions,
): Promise<{ scenes: ComposedSet; strips: ComposedSet }> {
  const { scenes, strips } = prefixes ?? { scenes: 'data/emoji-scenes', strips: 'data/emoji-strips' };
  const all = readConcepts();
  const names = readIconNames(all);
  const chosen = someConcepts(all, names, concepts);
  const made = async (prefix: string, make: typeof makeScenes, trained: number, inputs: string) => {
    const whole = hashJson([...examplesInputs(prefix, concepts), trained, heldOut, inputs]);
    const { set, already } = await makeOnce<ComposedSet>(store, prefix, whole, async () => {
      log(`${prefix}: composing ${trained + heldOut} pictures`);
      const shards = await make(store, `${prefix}/held-out`, drawings([heldOutStyle], chosen, names), heldOut);
      if (trained > 0)
        shards.push(...(await make(store, `${prefix}/train`, drawings(trainStyles, chosen, names), trained)));
      return { train: trained > 0 ? `${prefix}/train` : null, heldOut: `${prefix}/held-out`, shards };
    });
    if (already) log(`${prefix}: already in the bucket`);
    return set;
  };
  return {
    scenes: await made(scenes, makeScenes, 0, scenesInputs()),
    strips: await made(strips, makeStrips, train, stripsInputs()),
  };
}

const drawings = (styles: readonly EmojiStyle[], concepts: readonly Concept[], names: IconNames): Figure[][] =>
  styles.map((style) => figuresOf(style, concepts, names));
