import sharp from 'sharp';
import { ignored } from '../../src/data/example/pixel-values.ts';
import { hashJson } from '../../src/runtime/hash.ts';
import { randomStream } from '../../src/runtime/random.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { composeShards, perShard } from './compose-shards.ts';
import { readConcepts } from './concepts.ts';
import { examplesInputs, someConcepts } from './examples.ts';
import { readIconNames } from './icons.ts';
import { type MadeShard, makeOnce } from './record.ts';
import { compose, type Figure, figuresOf, label, membersOf, type Placed, scenesInputs, side } from './scenes.ts';
import { heldOutStyle, trainStyles } from './styles.ts';

// Raise it when the same packages would give other masks than before.
const version = 1;
/** What is less than this is paper, and what is more a figure; edges between them count in no figure, as in VOC. */
const [clear, solid] = [16, 128];

export interface MaskOptions {
  readonly log?: (line: string) => void;
  /** Key prefix, data/emoji-masks; shards go to train/ and held-out/ below it. */
  readonly prefix?: string;
  /** Scenes of the styles that are trained on; a fourth as many are of the other style. */
  readonly scenes: number;
  /** Concepts in them, 40: classes of masks are paper and these. */
  readonly concepts?: number;
}

export interface MaskDataset {
  readonly train: string;
  readonly heldOut: string;
  readonly examples: { readonly train: number; readonly heldOut: number };
  /** Key of the file with the names of the classes, of which the first is the background. */
  readonly classnames: string;
  readonly shards: readonly MadeShard[];
  readonly inputs: string;
}

/**
 * Scenes of several emoji with the class of each pixel beside them, `NAME.mask.png`, for evaluation: masks follow from how a scene
 * is put together. There is no depth: no figure lies over another, and none is nearer. Equal packages give equal bytes.
 */
export async function makeMaskedScenes(store: ObjectStore, options: MaskOptions): Promise<MaskDataset> {
  const { log = () => {}, prefix = 'data/emoji-masks', scenes, concepts: count = 40 } = options;
  const examples = { train: scenes, heldOut: Math.ceil(scenes / 4) };
  const inputs = hashJson([examplesInputs(prefix, count), scenesInputs(), version, clear, solid, perShard, examples]);
  const { set, already } = await makeOnce<MaskDataset>(store, prefix, inputs, async () => {
    const all = readConcepts();
    const names = readIconNames(all);
    const concepts = someConcepts(all, names, count);
    const classes = ['background', ...concepts.map(({ captions }) => captions.en![0]!)];
    const styles = trainStyles.map((style) => figuresOf(style, concepts, names));
    log(`emoji masks: composing ${examples.train + examples.heldOut}, with masks`);
    const shards = [
      ...(await write(store, `${prefix}/train`, styles, classes, { first: 0, count: examples.train })),
      ...(await write(store, `${prefix}/held-out`, [figuresOf(heldOutStyle, concepts, names)], classes, {
        first: examples.train,
        count: examples.heldOut,
      })),
    ];
    const classnames = `${prefix}/classnames.txt`;
    await store.put(classnames, `${classes.join('\n')}\n`, { contentType: 'text/plain; charset=utf-8' });
    return { train: `${prefix}/train`, heldOut: `${prefix}/held-out`, examples, classnames, shards };
  });
  if (already) log(`emoji masks: already in the bucket (${set.examples.train + set.examples.heldOut})`);
  return set;
}

async function write(
  store: ObjectStore,
  folder: string,
  styles: readonly (readonly Figure[])[],
  classes: readonly string[],
  { first, count }: { first: number; count: number },
): Promise<MadeShard[]> {
  return composeShards(store, folder, 'scenes', count, async (i) => {
    const placed = await compose(styles[i % styles.length]!, randomStream(0, 'emoji-masks', first + i));
    const name = `scene-${String(first + i).padStart(6, '0')}`;
    return [...(await membersOf(name, placed)), { name: `${name}.mask.png`, body: await maskOf(placed, classes) }];
  });
}

/** The class of each pixel: that of the figure which is drawn there, 0 for paper. */
async function maskOf(placed: readonly Placed[], classes: readonly string[]): Promise<Buffer> {
  const mask = new Uint8Array(side * side);
  for (const { figure, picture, left, top, width, height } of placed) {
    const of = classes.indexOf(label(figure));
    const pixels = await sharp(picture).ensureAlpha().raw().toBuffer();
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const alpha = pixels[4 * (y * width + x) + 3]!;
        if (alpha >= clear) mask[(top + y) * side + left + x] = alpha >= solid ? of : ignored;
      }
  }
  return sharp(mask, { raw: { width: side, height: side, channels: 1 } })
    .toColourspace('b-w')
    .png({ compressionLevel: 9, adaptiveFiltering: false })
    .toBuffer();
}
