import type { CaptionTargets } from '../../recipe/batch-plan.ts';
import { captionTasks } from '../../recipe/caption-tasks.ts';
import { randomStream } from '../../runtime/random.ts';
import { captionTexts, tokenised } from '../example/caption-texts.ts';
import { boxText, seenRegions } from '../example/regions.ts';
import type { BatchPart } from './batch-part.ts';

/** What the decoder is to say of an image: see `objectives/captioning.ts` for the arrays. */
export const captionTargetsPart: BatchPart<CaptionTargets> = {
  arrays(_, { textLength }) {
    const size = captionTasks.length * textLength;
    return {
      targets: { dtype: 'int32', size },
      targetWeights: { dtype: 'float32', size },
      parallel: { dtype: 'int32', size: captionTasks.length },
    };
  },
  fill({ k, meta, text, pixels, crop, tokenizer }, settings, { seed, phase, textLength }, out) {
    const regions = seenRegions(meta.regions ?? [], pixels, crop);
    const region = regions[randomStream(seed, `region/${phase}`, k).below(Math.max(1, regions.length))];
    const said = region ? { caption: region.caption, box: boxText(region) } : null;
    const whole = captionTexts(text, said, settings.lossOn);
    // Cut off, a long description would leave no box to learn: such a region is left out.
    const fits = whole.referring !== null && tokenizer.ids(whole.referring.text, textLength).length < textLength;
    const targets = fits ? whole : captionTexts(text, null, settings.lossOn);
    for (const [i, task] of captionTasks.entries()) {
      const target = targets[task];
      if (target === null) continue;
      const { ids, weights } = tokenised(target, tokenizer, textLength);
      out.targets!.set(ids, i * textLength);
      out.targetWeights!.set(weights, i * textLength);
    }
    const all = randomStream(seed, `parallel/${phase}`, k).next() < settings.parallel;
    out.parallel![captionTasks.indexOf('captioning')] = all ? 1 : 0;
  },
};
