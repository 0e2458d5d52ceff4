import { z } from 'zod';
import { addedTokens } from './added-tokens.ts';
import { positive } from './number-schemas.ts';

/** The two towers of a recipe or of a phase. */

// The upper bounds are far above any model of the paper: they keep a slip of the pen from filling the memory.
const towerSize = z.strictObject({
  width: z.int().positive().max(8192).describe('Width of the tower.'),
  depth: z.int().positive().max(256).describe('Number of layers.'),
  mlp: z.int().positive().max(65_536).describe('Width of the hidden layer of each MLP.'),
  heads: z.int().positive().max(256).describe('Heads of attention; a divisor of the width.'),
});
const sizeName = z.enum(['mu', 'Ti', 'S', 'M', 'B', 'L', 'So400m', 'g-opt']);
const size = z.union(
  [sizeName, towerSize],
  `one of ${sizeName.options.join(', ')}, or the four numbers {"width", "depth", "mlp", "heads"}`,
);

export const patch = z.int().positive().max(256);
export const resolution = z.int().positive().max(4096);
export const textLength = z.int().min(2).max(256);

export const modelSchema = z.strictObject({
  vision: z.strictObject({
    size: size.describe('A name of the SigLIP 2 size table, or the four numbers.'),
    patch: patch.describe('Side of a patch in pixels.'),
    resolution: resolution.describe('Side of the square input in pixels.'),
  }),
  text: z.strictObject({
    size: size.optional().describe('By default the one that goes with the vision tower.'),
    length: textLength.default(64).describe('Tokens of a text, to which each is cut and padded; 64 in the paper.'),
    vocabulary: z
      .enum(['full', 'compact'])
      .default('full')
      .describe(
        'compact trains only the rows of the 256,000 tokens that the data uses; checkpoints always hold all rows.',
      ),
    addedTokens: addedTokens
      .optional()
      .describe(
        "Tokens beside Gemma's that a model from scratch has; to one that is trained already a phase adds them.",
      ),
  }),
  init: z
    .strictObject({
      temperature: positive.default(10).describe('exp(logit_scale) at the start (arXiv 2303.15343, 3.2).'),
      logitBias: z.number().default(-10).describe('-10 suits a batch of 32k; near -ln(batch) suits a small one.'),
    })
    .prefault({})
    .describe('Where training from scratch starts.'),
});
