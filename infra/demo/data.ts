import type { ObjectStore } from '../../src/storage/object-store.ts';
import { makeAskedEmojiDataset } from '../emoji/asked.ts';
import { makeEmojiDataset } from '../emoji/make.ts';
import { makeMaskedScenes } from '../emoji/masks.ts';
import { makeNoisyEmojiDatasets } from '../emoji/noisy.ts';
import { makeEmojiStrips } from '../emoji/strips.ts';

/** Scenes of several emoji with boxes, for the captions that speak of regions. */
const scenes = 1500;
/** Long pictures to train on. */
const strips = 1000;
/** Scenes that fresh decoders learn to point from, and probes of patches what is where. */
const learnedFrom = 1200;
/** Share of planted noise in what active curation chooses from, as in `npm run curation`. */
const noise = 0.4;

/** Makes the sets of emoji that a recipe names anywhere, those that its tasks look at too. */
export async function makeRecipeData(store: ObjectStore, recipe: unknown, log: (line: string) => void): Promise<void> {
  const written = JSON.stringify(recipe);
  await makeEmojiDataset(store, { log, ...(written.includes('data/emoji/scenes') && { scenes }) });
  if (written.includes('data/emoji-strips')) await makeEmojiStrips(store, { log, strips });
  if (written.includes('data/emoji-asked')) await makeAskedEmojiDataset(store, { log, scenes: learnedFrom });
  if (written.includes('data/emoji-masks')) await makeMaskedScenes(store, { log, scenes: learnedFrom });
  if (/data\/emoji-(noisy|curated)/.test(written)) await makeNoisyEmojiDatasets(store, { log, noise });
}
