import type { ObjectStore } from '../../src/storage/object-store.ts';
import { makeAskedEmojiDataset } from '../emoji/asked.ts';
import { makeEmojiDataset } from '../emoji/make.ts';
import { makeMaskedScenes } from '../emoji/masks.ts';
import { makeNoisyEmojiDatasets } from '../emoji/noisy.ts';
import { makeEmojiStrips } from '../emoji/strips.ts';

/** Scenes of several emoji with boxes, for the captions that speak of regions. */
const scenes = 3000;
/** Long pictures to train on. */
const strips = 1500;
/** Scenes that fresh decoders learn to point from, and probes of patches what is where. */
const learnedFrom = 1200;
/** Share of planted noise in what active curation chooses from, as in `npm run curation`. */
const noise = 0.4;

type Make = (store: ObjectStore, log: (line: string) => void, wants: (place: string) => boolean) => Promise<unknown>;

const noisy: Make = (store, log) => makeNoisyEmojiDatasets(store, { log, noise });

/** By the prefix below which each set lies. */
export const demoSets: Readonly<Record<string, Make>> = {
  'data/emoji': (store, log, wants) => makeEmojiDataset(store, { log, ...(wants('data/emoji/scenes') && { scenes }) }),
  'data/emoji-strips': (store, log) => makeEmojiStrips(store, { log, strips }),
  'data/emoji-asked': (store, log) => makeAskedEmojiDataset(store, { log, scenes: learnedFrom }),
  'data/emoji-masks': (store, log) => makeMaskedScenes(store, { log, scenes: learnedFrom }),
  'data/emoji-noisy': noisy,
  'data/emoji-curated': noisy,
};

/** Makes the emoji, and the sets of them that a recipe names anywhere, those that its tasks look at too. */
export async function makeRecipeData(store: ObjectStore, recipe: unknown, log: (line: string) => void): Promise<void> {
  const written = JSON.stringify(recipe);
  const wants = (place: string) => written.includes(`"${place}`);
  const makes = Object.entries(demoSets).flatMap(([prefix, make]) =>
    prefix === 'data/emoji' || wants(`${prefix}/`) || wants(`${prefix}"`) ? [make] : [],
  );
  for (const make of new Set(makes)) await make(store, log, wants);
}
