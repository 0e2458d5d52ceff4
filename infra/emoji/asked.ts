import { hashJson } from '../../src/runtime/hash.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { readConcepts } from './concepts.ts';
import { examplesInputs, someConcepts } from './examples.ts';
import { readIconNames } from './icons.ts';
import { type MadeShard, makeOnce } from './record.ts';
import { figuresOf, makeScenes, scenesInputs } from './scenes.ts';
import { heldOutStyle, trainStyles } from './styles.ts';

// Raise it when the same scenes would be asked other questions than before.
const version = 1;

export interface AskedOptions {
  readonly log?: (line: string) => void;
  /** Scenes to learn from; a quarter as many are in the style that is not trained on. */
  readonly scenes: number;
  readonly prefix?: string;
  /** As for the emoji data set. */
  readonly concepts?: number;
}

export interface AskedDataset {
  readonly train: string;
  readonly heldOut: string;
  readonly examples: { readonly train: number; readonly heldOut: number };
  readonly shards: readonly MadeShard[];
  readonly inputs: string;
}

/**
 * Scenes for evaluators that ask of places: several emoji with their true boxes, and questions with one answer. None of them
 * is a scene that is trained on. Equal packages give equal bytes; what is there already is not made again.
 */
export async function makeAskedEmojiDataset(store: ObjectStore, options: AskedOptions): Promise<AskedDataset> {
  const { log = () => {}, scenes, prefix = 'data/emoji-asked' } = options;
  const inputs = hashJson([...examplesInputs(prefix, options.concepts), scenesInputs(), version, scenes]);
  const { set, already } = await makeOnce<AskedDataset>(store, prefix, inputs, async () => {
    const all = readConcepts();
    const names = readIconNames(all);
    const concepts = someConcepts(all, names, options.concepts);
    const compose = (folder: string, styles: typeof trainStyles, count: number) => {
      log(`${folder}: composing ${count} scenes with questions`);
      const figures = styles.map((style) => figuresOf(style, concepts, names));
      return makeScenes(store, folder, figures, count, { stream: `emoji-asked/${folder}`, questions: true });
    };
    const [train, heldOut] = [`${prefix}/train`, `${prefix}/held-out`];
    const few = Math.max(1, Math.round(scenes / 4));
    return {
      ...{ train, heldOut, examples: { train: scenes, heldOut: few } },
      shards: [...(await compose(train, trainStyles, scenes)), ...(await compose(heldOut, [heldOutStyle], few))],
    };
  });
  if (already) log(`${prefix}: already in the bucket`);
  return set;
}
