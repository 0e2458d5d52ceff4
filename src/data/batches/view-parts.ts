import type { LocalViews, MaskedPatches } from '../../recipe/batch-plan.ts';
import { permutation, randomStream } from '../../runtime/random.ts';
import { resizeOf, resizeSquare } from '../views/preprocess.ts';
import { atHand, drawView, globalView, localView } from '../views/view.ts';
import type { BatchPart } from './batch-part.ts';

/** The view that the teacher sees, and the student with patches masked: (R, R, 3) uint8. */
export const globalViewPart: BatchPart<Record<never, never>> = {
  arrays: (_, { resolution }) => ({ globalView: { dtype: 'uint8', size: resolution ** 2 * 3 } }),
  fill({ k, pixels }, _, { seed, phase, resolution }, { globalView: out }) {
    drawView(pixels, resolution, globalView, randomStream(seed, `global-view/${phase}`, k), out as Uint8Array);
  },
};

/** What a teacher of another resolution sees of the image that is trained on: (R, R, 3) uint8. */
export const teacherViewPart: BatchPart<{ readonly resolution: number }> = {
  arrays: ({ resolution }) => ({ teacherView: { dtype: 'uint8', size: resolution ** 2 * 3 } }),
  fill({ pixels, crop }, { resolution }, { data }, { teacherView }) {
    resizeSquare(pixels, resolution, resizeOf(data), teacherView as Uint8Array, 0, crop);
  },
};

/** Small views of parts of the image: (views, R, R, 3) uint8. */
export const localViewsPart: BatchPart<LocalViews> = {
  arrays: ({ views, resolution }) => ({ localViews: { dtype: 'uint8', size: views * resolution ** 2 * 3 } }),
  fill({ k, pixels }, { views, resolution }, { seed, phase }, { localViews }) {
    const size = resolution ** 2 * 3;
    atHand(pixels, () => {
      for (let view = 0; view < views; view++) {
        const out = (localViews as Uint8Array).subarray(view * size, (view + 1) * size);
        drawView(pixels, resolution, localView, randomStream(seed, `local-view/${phase}`, k, view), out);
      }
    });
  },
};

/** Which patches of an image the student does not see, drawn without replacement: (count) int32, ascending. */
export const maskedPatchesPart: BatchPart<MaskedPatches> = {
  arrays: ({ count }) => ({ maskedPatches: { dtype: 'int32', size: count } }),
  fill({ k }, { patches, count }, { seed, phase }, { maskedPatches }) {
    const drawn = permutation(patches, randomStream(seed, `patch-mask/${phase}`, k))
      .subarray(0, count)
      .sort();
    (maskedPatches as Int32Array).set(drawn);
  },
};
