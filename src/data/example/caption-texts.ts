import type { CaptionTargets } from '../../recipe/batch-plan.ts';
import type { CaptionTask } from '../../recipe/caption-tasks.ts';
import { boxSteps } from './regions.ts';
import { eosId, type TextTokenizer } from './tokenizer.ts';

/** A text that is to be said, and the part at its beginning that is given. */
export interface Target {
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

/** Ids with their end, and for each a share of one, or 0 where it is given. Padding is left to the arrays. */
export function tokenised({ given, text }: Target, tokenizer: TextTokenizer, length: number) {
  // In a compacted vocabulary padding and end are 0 and 1 as well: they are always its first.
  const ids = [...tokenizer.ids(text, length - 1), eosId];
  const start = tokenizer.ids(given, length);
  let first = 0;
  while (first < start.length && ids[first] === start[first]) first++;
  const counted = ids.length - first;
  return { ids, weights: ids.map((_, i) => (i < first ? 0 : 1 / counted)) };
}

/** Texts that between them hold every token of such texts, but for captions. */
export function captionTaskWords(): string[] {
  const numbers = Array.from({ length: boxSteps + 1 }, (_, i) => i).join(' ');
  return ['Cap: x', `ARef : ${numbers} : ${numbers}`, `GCap: ${numbers} : ${numbers}`];
}
