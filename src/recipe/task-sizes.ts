import type { ModelConfig } from '../model/sizes.ts';
import type { CurationRecipe } from './curation.ts';

/** What the tasks of `recipe new` take from a model's own sizes, and where the paper says it (arXiv 2502.14786). */

type Grid = Pick<ModelConfig['vision'], 'patch' | 'resolution'>;

/** Of a model with 256 patches, 16 to a side (2.4.2). */
const paperLengths = [128, 256, 576, 784, 1024] as const;
const paperSide = 16;

/**
 * Lengths in patches that a model is taken on to NaFlex with. Those of the paper, where the model has about as many patches as
 * these; its own is among them where it is longer than all, since NaFlex does not extrapolate (Figure 3). A model with fewer
 * than the shortest has the same shares of its own: half, itself, and the squares of 1.5, 1.75 and 2 times its side.
 */
export function naflexLengths({ patch, resolution }: Grid): { readonly lengths: number[]; readonly ofPaper: boolean } {
  const patches = Math.floor(resolution / patch) ** 2;
  const longest = paperLengths.at(-1)!;
  if (patches >= paperLengths[0])
    return { lengths: [...paperLengths, ...(patches > longest ? [patches] : [])], ofPaper: true };
  const shares = paperLengths.map((length) => Math.max(1, Math.round((length / paperSide ** 2) * patches)));
  return { lengths: [...new Set(shares)], ofPaper: false };
}

/** Pixels on a side of the released models (Table 1). */
const released = [224, 256, 384, 512] as const;

/**
 * The resolution that a model is taken on to where none is asked for: the next of the released ones, if the patch divides it,
 * and of other models the first that the patch divides from one and a half times their own, as 384 is of 256.
 */
export function nextResolution({ patch, resolution }: Grid): {
  readonly resolution: number;
  readonly ofPaper: boolean;
} {
  const at = (released as readonly number[]).indexOf(resolution);
  const next = at < 0 ? undefined : released[at + 1];
  if (next !== undefined && next % patch === 0) return { resolution: next, ofPaper: true };
  return { resolution: Math.ceil((1.5 * resolution) / patch) * patch, ofPaper: false };
}

/** Share of a super-batch that is left out: as of B/32 (0.75) for patches of its size, else as of B/16 (0.5; 2.5). */
export const filterRatioOf = ({ patch }: Pick<Grid, 'patch'>): CurationRecipe['filterRatio'] =>
  patch >= 32 ? 0.75 : 0.5;
