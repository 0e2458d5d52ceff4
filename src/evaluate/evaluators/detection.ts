import type { Tensor } from '@tensorflow/tfjs';
import type { z } from 'zod';
import { Detection } from '../../metrics/detection.ts';
import type { FoundBox, TrueBox } from '../../metrics/detection-match.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { evenly } from '../../runtime/evenly.ts';
import { tf } from '../../runtime/tensorflow.ts';
import { picturesAtOnce } from '../detection/batch.ts';
import { findBoxes } from '../detection/find.ts';
import { type Learned, learnHeads } from '../detection/learn.ts';
import { type DetectionPicture, detectionPictures } from '../detection/pictures.ts';
import { Categories } from '../detection/truth.ts';
import type { PartExample } from '../features/part-file.ts';
import { unitRows } from '../numbers/matrix.ts';
import { type Evaluator, type EvaluatorInput, type Found, mostShown, type ShownBoxes } from './contract.ts';
import type { detectionSettings } from './settings.ts';

type Settings = z.infer<typeof detectionSettings>;

/**
 * Open-vocabulary detection by the heads of OWL-ViT (arXiv 2205.06230) on the patches of a frozen tower, with the names of the
 * task's classes as queries: COCO's AP, or LVIS's.
 */
export const detection: Evaluator<Settings> = {
  needs: () => ({ patches: true, classes: true, train: true, truth: true }),
  protocol: ({ rules, boxes, withhold, steps, batch, learningRate, most }, seed) => ({
    rules,
    boxes,
    withheld: withhold,
    towers: 'frozen, where OWL-ViT trains both',
    augmentation: 'none, where OWL-ViT has mosaics, crops and random prompts',
    heads: 'layer norm, linear class with shift and scale, box of 3 layers and by position',
    losses: 'focal 0.3 and 2, L1, GIoU, by a Hungarian matching',
    learned: `${steps} steps of ${batch}, Adam at ${learningRate}, seed ${seed}`,
    found: `${most} boxes a picture, none suppressed`,
  }),
  async evaluate(input, settings) {
    const { train, classes, view, seed, pause } = input;
    if (!classes)
      throw new RunnerError('DataContract', 'detection: classes.names is missing, which says what is looked for');
    const { names, rows } = classes;
    const categories = new Categories(names, settings.boxes);
    const frequencies = categories.frequencies(train!);
    const rare = frequencies.flatMap((frequency, number) => (frequency === 'r' ? [number] : []));
    const withheld = new Set(settings.withhold === 'rare' ? rare : []);
    const queries = tf.tensor2d(unitRows(rows).rows, [names.length, rows.width]);
    let learned: Learned | null = null;
    try {
      learned = await learnHeads(
        { train: train!, view, queries },
        (example) => categories.lesson(example, settings.rules, withheld),
        { ...settings, seed },
        pause,
      );
      const counted = new Detection(
        settings.rules === 'coco'
          ? { rules: 'coco', categories: [...names.keys()] }
          : { rules: 'lvis', categories: new Map(frequencies.entries()) },
      );
      const { truths, shown } = await look(input, settings, { learned, queries, categories, counted });
      const { losses, rounds } = learned;
      const figures = {
        ...Object.fromEntries(counted.figures().flatMap(({ name, value }) => (value === null ? [] : [[name, value]]))),
        boxes: truths,
        train_loss: losses.classes + losses.distance + losses.overlap,
        train_rounds: rounds,
      };
      const bins =
        settings.rules === 'lvis'
          ? [`${rare.length} of ${names.length} categories are rare: fewer than 10 pictures of train have them`]
          : [];
      const none = truths === 0 ? ['no picture has a box of these categories: there is nothing to be found'] : [];
      return { figures, notes: [...none, ...categories.notes(), ...bins], outcomes: {}, shown } satisfies Found;
    } finally {
      queries.dispose();
      if (learned) tf.dispose({ ...learned.parameters } as Record<string, Tensor>);
    }
  },
};

/** Counts what is found in the test set, some pictures at a time; answers how many boxes there are. */
async function look(
  { test, view, pause }: EvaluatorInput,
  { batch, most }: Settings,
  of: {
    readonly learned: Learned;
    readonly queries: Tensor;
    readonly categories: Categories;
    readonly counted: Detection;
  },
): Promise<{ readonly truths: number; readonly shown: readonly ShownBoxes[] }> {
  const { learned, queries, categories, counted } = of;
  const [count, width] = queries.shape as [number, number];
  let truths = 0;
  const shown: ShownBoxes[] = [];
  const numbers = new Set(evenly([...test.examples.keys()], mostShown.pictures));
  const lookAt = async (some: readonly DetectionPicture[]) => {
    for (const [i, found] of findBoxes(learned.parameters, queries, some, most).entries()) {
      const image = categories.image(some[i]!.example);
      truths += image.truths.length;
      counted.add({ ...image, found });
      if (numbers.has(some[i]!.number)) shown.push(shownOf(some[i]!.example, image.truths, found, categories.names));
    }
    await pause();
  };
  let waiting: DetectionPicture[] = [];
  for await (const picture of detectionPictures(test, view)) {
    waiting.push(picture);
    if (waiting.length < Math.min(batch, picturesAtOnce(picture.patches.length / width, count))) continue;
    await lookAt(waiting);
    waiting = [];
  }
  if (waiting.length > 0) await lookAt(waiting);
  return { truths, shown };
}

/** The true boxes, and as many of those with the highest scores. */
function shownOf(
  { shard, name, size }: PartExample,
  truths: readonly TrueBox[],
  found: readonly FoundBox[],
  names: readonly string[],
): ShownBoxes {
  const [width, height] = size!;
  const share = (value: number) => Math.min(1, Math.max(0, value));
  const within = ([x, y, w, h]: TrueBox['box']) =>
    [share(y / height), share(x / width), share((y + h) / height), share((x + w) / width)] as const;
  const real = truths.slice(0, mostShown.boxes / 2);
  const best = [...found].sort((a, b) => b.score - a.score).slice(0, real.length);
  return {
    ...{ shard, name },
    boxes: [
      ...real.map(({ category, box }) => ({ text: names[category]!, truth: within(box), found: null })),
      ...best.map(({ category, box, score }) => ({
        ...{ text: `${names[category]!}, ${score.toFixed(2)}`, truth: null, found: within(box) },
      })),
    ],
  };
}
