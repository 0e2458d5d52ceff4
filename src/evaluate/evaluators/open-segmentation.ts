import type { z } from 'zod';
import { ignored } from '../../data/example/pixel-values.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { tf } from '../../runtime/tensorflow.ts';
import { LeftOut } from '../dense/left-out.ts';
import { MaskFigures, maskResolution } from '../dense/mask-figures.ts';
import { densePictures } from '../dense/pictures.ts';
import { type Matrix, unitRows } from '../numbers/matrix.ts';
import type { Evaluator } from './contract.ts';
import type { openSegmentationSettings } from './dense-settings.ts';

type Settings = z.infer<typeof openSegmentationSettings>;

/**
 * Segmentation by the names of classes, without learning: each patch has the class whose text is nearest, scores are upsampled
 * bilinearly to the mask. A patch gets to where texts lie as MaskCLIP has it (arXiv 2112.01071): through what the MAP head makes
 * of it alone. `patches` takes it as the encoder leaves it.
 */
export const openSegmentation: Evaluator<Settings> = {
  needs: (_named, { through }) => ({ classes: true, mask: true, [through === 'head' ? 'aligned' : 'patches']: true }),
  protocol: ({ through, background }) => ({
    features: through === 'head' ? 'patch alone through the MAP head' : 'patch as the encoder leaves it',
    resolution: maskResolution,
    ignored,
    background: background ? `class ${background.class} below a cosine of ${background.below}` : 'none',
  }),
  async evaluate({ test, classes, view, pause }, { through, background }) {
    if (!classes) throw new RunnerError('RecipeInvalid', 'openSegmentation needs classes.names, in the order of masks');
    const count = classes.names.length;
    const within = background?.class ?? 0;
    if (within >= count || count > ignored)
      throw new RunnerError(
        'RecipeInvalid',
        within >= count
          ? `openSegmentation.background.class is ${within}; allowed: 0 to ${count - 1}, a class of classes.names`
          : `classes.names has ${count} names; masks have at most ${ignored} classes`,
      );
    const features = through === 'head' ? 'aligned' : 'patches';
    const reading = { view, features, truth: 'mask', classes: count } as const;
    const leftOut = new LeftOut();
    const found = new MaskFigures(count);
    const texts = tf.tensor2d(classes.rows.rows, [count, classes.rows.width]);
    try {
      for await (const picture of densePictures(test, reading, leftOut)) {
        const scores = similarities({ width: classes.rows.width, rows: picture.patches });
        // The class of what is like no text has no text of its own.
        if (background) for (let at = background.class; at < scores.length; at += count) scores[at] = background.below;
        found.add(picture, scores);
        await pause();
      }
    } finally {
      texts.dispose();
    }
    return {
      figures: { ...found.figures, left_out: leftOut.pictures },
      notes: leftOut.notes(),
      outcomes: found.outcomes,
    };

    function similarities(patches: Matrix): Float32Array {
      const { width, rows } = unitRows(patches);
      return tf.tidy(
        () => tf.matMul(tf.tensor2d(rows, [rows.length / width, width]), texts, false, true).dataSync() as Float32Array,
      );
    }
  },
};
