import { type CaptionTask, captionTasks } from '../../recipe/caption-tasks.ts';
import { randomStream } from '../../runtime/random.ts';
import { boxSteps, boxText, seenRegions } from '../example/regions.ts';
import { eosId, type TextTokenizer } from '../example/tokenizer.ts';
import type { BatchPart } from './batch-part.ts';

export interface CaptionTargets {
  /** Share of the captions that are predicted all at once. */
  readonly parallel: number;
  /** Which fields of a text with a box count: both, or what is asked for alone (spec 3.2). */
  readonly lossOn: 'both' | 'second';
}

/** A text that is to be said, and the part at its beginning that is given. */
interface Target {
  readonly given: string;
  readonly text: string;
}

/** The three texts of an image (LocCa, arXiv 2403.19596); null where there is no region to speak of. */
export function captionTexts(
  caption: string,
  region: { readonly caption: string; readonly box: string } | null,
  lossOn: CaptionTargets['lossOn'],
): Readonly<Record<CaptionTask, Target | null>> {
  const told = (prefix: string, first: string, second: string): Target => {
    const given = lossOn === 'both' ? prefix : `${prefix} ${first} :`;
    return { given, text: `${prefix} ${first} : ${second}` };
  };
  return {
    captioning: { given: 'Cap:', text: `Cap: ${caption}` },
    referring: region && told('ARef :', region.caption, region.box),
    grounded: region && told('GCap:', region.box, region.caption),
  };
}

/** Texts that between them hold every token of such texts, but for captions. */
export function captionTaskWords(): string[] {
  const numbers = Array.from({ length: boxSteps + 1 }, (_, i) => i).join(' ');
  return ['Cap: x', `ARef : ${numbers} : ${numbers}`, `GCap: ${numbers} : ${numbers}`];
}

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
    const targets = captionTexts(text, said, settings.lossOn);
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

/** Ids with their end, and for each a share of one, or 0 where it is given. Padding is left to the arrays. */
function tokenised({ given, text }: Target, tokenizer: TextTokenizer, length: number) {
  // In a compacted vocabulary padding and end are 0 and 1 as well: they are always its first.
  const ids = [...tokenizer.ids(text, length - 1), eosId];
  const start = tokenizer.ids(given);
  let first = 0;
  while (first < start.length && ids[first] === start[first]) first++;
  const counted = ids.length - first;
  return { ids, weights: ids.map((_, i) => (i < first ? 0 : 1 / counted)) };
}
