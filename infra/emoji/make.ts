import { hashJson } from '../../src/runtime/hash.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { readConcepts } from './concepts.ts';
import { examplesInputs, examplesOf, someConcepts, writeShards } from './examples.ts';
import { readIconNames } from './icons.ts';
import { type MadeShard, makeOnce } from './record.ts';
import { figuresOf, makeScenes, scenesInputs } from './scenes.ts';
import { heldOutStyle, trainStyles } from './styles.ts';

export interface EmojiOptions {
  readonly log?: (line: string) => void;
  /** Key prefix of the set, data/emoji; shards go to train/ and held-out/ below it. */
  readonly prefix?: string;
  /** Only this many concepts, for tests: ones that every style has. */
  readonly concepts?: number;
  /** So many scenes of several emoji with boxes, below scenes/; none if not given. */
  readonly scenes?: number;
}

export interface EmojiDataset {
  readonly train: string;
  readonly heldOut: string;
  /** Where the scenes are, whether there are any or not. */
  readonly scenes: string;
  readonly examples: { readonly train: number; readonly heldOut: number; readonly scenes: number };
  /** Distinct concepts of the held-out style. */
  readonly heldOutConcepts: number;
  readonly shards: readonly MadeShard[];
  /** Hash of everything that the bytes depend on. */
  readonly inputs: string;
}

/**
 * Draws every emoji in six styles and writes WebDataset shards: five styles below `train/`, one below
 * `held-out/`. Equal packages give equal bytes; what is there already is not made again.
 */
export async function makeEmojiDataset(store: ObjectStore, options: EmojiOptions = {}): Promise<EmojiDataset> {
  const { log = () => {}, prefix = 'data/emoji', scenes = 0 } = options;
  const inputs = examplesInputs(prefix, options.concepts);
  if (scenes > 0) inputs.push(scenes, scenesInputs());
  const { set, already } = await makeOnce<EmojiDataset>(store, prefix, hashJson(inputs), async () => {
    const all = readConcepts();
    const names = readIconNames(all);
    const concepts = someConcepts(all, names, options.concepts);
    const train = examplesOf(trainStyles, concepts, names);
    const heldOut = examplesOf([heldOutStyle], concepts, names);
    let count = 0;
    const drawn = (more: number) => {
      count += more;
      log(`emoji data set: ${count} of ${train.length + heldOut.length} pictures drawn`);
    };
    const shards = [
      ...(await writeShards(store, `${prefix}/train`, 'train', train, drawn)),
      ...(await writeShards(store, `${prefix}/held-out`, 'held-out', heldOut, drawn)),
    ];
    if (scenes > 0) {
      log(`emoji data set: composing ${scenes} scenes`);
      const styles = trainStyles.map((style) => figuresOf(style, concepts, names));
      shards.push(...(await makeScenes(store, `${prefix}/scenes`, styles, scenes)));
    }
    return {
      train: `${prefix}/train`,
      heldOut: `${prefix}/held-out`,
      scenes: `${prefix}/scenes`,
      examples: { train: train.length, heldOut: heldOut.length, scenes },
      heldOutConcepts: new Set(heldOut.map(({ meta }) => meta.concept)).size,
      shards,
    };
  });
  if (already) log(`emoji data set: already in the bucket (${set.examples.train + set.examples.heldOut} pictures)`);
  return set;
}
