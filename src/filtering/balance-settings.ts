import { z } from 'zod';

const share = z.number().min(0).max(1);

/** How data are balanced: "CLIP the Bias" (Alabdulmohsin et al., ICLR 2024, arXiv 2403.04547), algorithm M4. */
export const balanceSettings = z.strictObject({
  association: share.default(0.01).describe('eps_D: how far E[q (s - pi) y] may be from 0, of E[q] or as `of` says.'),
  representation: share.default(0.01).describe('eps_R: how far E[q (s - pi)] may be from 0, of E[q] or as `of` says.'),
  of: z
    .enum(['all', 'own'])
    .default('all')
    .describe(
      'What tolerances are shares of: all examples that are kept, as in the paper; or those of them that a bound is about, with somebody in them and with the label. A label of one example in 1,000 is below most tolerances of all.',
    ),
  keep: share
    .optional()
    .describe('eta: the share of examples that is kept. Left out: no more are lost than bounds ask.'),
  penalty: z
    .number()
    .positive()
    .max(1e6)
    .default(100)
    .describe(
      'V: the most that a bound may weigh. With 1 no example of a label that only one group has is lost altogether, and that bound stays unmet.',
    ),
  passes: z
    .int()
    .min(1)
    .max(1000)
    .default(4)
    .describe('Times that all examples are gone through with an update each 64.'),
  lastPasses: z
    .int()
    .min(0)
    .max(1000)
    .default(3)
    .describe('Times after those with one update at the end, which brings bounds within their tolerances.'),
  seed: z.int().min(0).default(0).describe('Of the order of examples within a shard.'),
});
export type BalanceSettings = z.infer<typeof balanceSettings>;

/** What bounds there are: (targets) x (1 + labels) of them. */
export interface Bounds {
  /** pi of each group. */
  readonly targets: readonly number[];
  readonly labels: number;
}

/** Documents of a state have up to 130 bytes a bound. */
export const mostBounds = 20_000;

/** What is known of one example. */
export interface Attributes {
  /** Of each group its share of those that are seen, in [0, 1]; null where nobody is, or where nothing is known of it. */
  readonly s: readonly (number | null)[];
  /** Numbers of the labels that it has, each once. */
  readonly y: readonly number[];
}
