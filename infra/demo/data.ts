import type { ObjectStore } from '../../src/storage/object-store.ts';
import { makeComposedSets } from '../emoji/composed-sets.ts';
import { makeEmojiDataset } from '../emoji/make.ts';
import { makeNoisyEmojiDatasets } from '../emoji/noisy.ts';

/** Scenes of several emoji with boxes, for the captions that speak of regions. */
const scenes = 1500;
/** Long pictures to train on. */
const strips = 1000;
/** Share of planted noise in what active curation chooses from, as in `npm run curation`. */
const noise = 0.4;

/** Makes the sets of emoji that a recipe names anywhere, those that its tasks look at too. */
export async function makeRecipeData(store: ObjectStore, recipe: unknown, log: (line: string) => void): Promise<void> {
  const written = JSON.stringify(recipe);
  const named = (...prefixes: string[]) => prefixes.some((prefix) => written.includes(`"${prefix}/`));
  await makeEmojiDataset(store, { log, ...(written.includes('data/emoji/scenes') && { scenes }) });
  if (named('data/emoji-scenes', 'data/emoji-strips')) await makeComposedSets(store, { log, train: strips });
  if (named('data/emoji-noisy', 'data/emoji-curated')) await makeNoisyEmojiDatasets(store, { log, noise });
}
