import { z } from 'zod';
import { type ModelConfig, towerSizes } from '../model/sizes.ts';
import type { SigmoidSettings } from './objective-settings.ts';
import type { PhaseSettings } from './phase-settings.ts';

const weight = z.number().positive().optional();
const temperature = z.number().positive();
const count = z.int().positive().max(1_048_576);

/** What both objectives of self-distillation have; the defaults are DINO's (arXiv 2104.14294), as in SILC. */
const distillation = {
  hidden: count.default(2048).describe('Width of the two hidden layers of the head.'),
  bottleneck: count.default(256).describe('Width of the layer before the prototypes.'),
  studentTemperature: temperature.default(0.1).describe('Of the softmax over the prototypes of the student.'),
  teacherTemperature: temperature.default(0.04).describe('The same of the teacher.'),
  centerMomentum: z
    .number()
    .min(0)
    .max(1)
    .default(0.9)
    .describe('Of the mean that is taken from what the teacher says.'),
};

/** The objectives of a phase as a recipe writes them: what is absent is off. */
export const objectivesSchema = z.strictObject({
  sigmoid: z.number().positive().optional().describe('Weight of the sigmoid loss.'),
  captioning: z
    .strictObject({
      weight: z.number().positive().default(1).describe('Weight of the loss.'),
      depth: z
        .int()
        .positive()
        .max(256)
        .optional()
        .describe('Layers of the decoder; by default half of the text tower.'),
      parallel: z.number().min(0).max(1).default(0.5).describe('Share of captions that are predicted all at once.'),
      lossOn: z
        .enum(['both', 'second'])
        .default('both')
        .describe('Of a region: caption and box, or only the one that is asked for.'),
      chunk: count
        .default(512)
        .describe('Rows whose logits over the vocabulary exist at a time: the memory of the loss.'),
    })
    .optional()
    .describe('LocCa: a decoder says captions, and regions with their boxes (arXiv 2502.14786, 2.2).'),
  localToGlobal: z
    .strictObject({
      weight: weight.describe(
        'By default by the width of the vision tower: up to 768 (B) 0.25, up to 1024 (L) 0.5, up to 1152 (So400m) 1, above (g-opt) 0.5.',
      ),
      prototypes: count.default(65_536).describe('Outputs of the head.'),
      ...distillation,
      views: z.int().positive().max(64).default(8).describe('Local views of an image.'),
      resolution: z
        .int()
        .positive()
        .max(4096)
        .optional()
        .describe('Side of a local view, a multiple of the patch; by default 3/8 of the resolution, 96 of 256.'),
    })
    .optional()
    .describe('Self-distillation from local views to what the EMA teacher sees (SILC; arXiv 2502.14786, 2.3).'),
  maskedPrediction: z
    .strictObject({
      weight: weight.describe('By default a quarter of that of localToGlobal.'),
      prototypes: count.default(32_768).describe('Outputs of the head.'),
      ...distillation,
      share: z.number().min(0.01).max(1).default(0.5).describe('Share of the patches that are masked.'),
    })
    .optional()
    .describe('Prediction of what the EMA teacher sees in masked patches (TIPS; arXiv 2502.14786, 2.3).'),
  hardNegatives: z
    .strictObject({
      weight: z.number().positive().default(1).describe('Of a pair; 1: as a pair of the sigmoid loss weighs.'),
      texts: z
        .int()
        .positive()
        .max(16)
        .default(1)
        .describe('Texts of an example that are drawn of those that it names.'),
    })
    .optional()
    .describe(
      'Texts that the data name as wrong for a picture (negatives in its JSON) are pairs of the sigmoid loss too.',
    ),
});

export type Objectives = z.infer<typeof objectivesSchema>;

/** Whether a phase of it has a decoder. */
export const speaks = ({ phases }: { readonly phases: readonly { readonly objectives: Objectives }[] }) =>
  phases.some(({ objectives }) => objectives.captioning !== undefined);

/** Whether a phase of it meets texts that are named as wrong. */
export const meetsNegatives = ({ phases }: { readonly phases: readonly { readonly objectives: Objectives }[] }) =>
  phases.some(({ objectives }) => objectives.hardNegatives !== undefined);

/** Those that learn from squares alone: NaFlex was trained without them (spec 4.3). */
export const squareObjectives = ['localToGlobal', 'maskedPrediction'] as const;

/**
 * How much the losses of self-distillation count, by the width of the vision tower: B 0.25, L 0.5, So400m 1, g-opt 0.5
 * (arXiv 2502.14786, 2.3). A width in between counts as the next larger of these; what is below B, as B.
 */
export function distillationWeight(width: number): number {
  const { B, L, So400m } = towerSizes;
  if (width <= B.width) return 0.25;
  if (width <= L.width) return 0.5;
  return width <= So400m.width ? 1 : 0.5;
}

/**
 * The settings of each objective that is on, and the arrays of a batch that they need.
 */
export function resolveObjectives(
  { sigmoid, captioning, localToGlobal, maskedPrediction, hardNegatives }: Objectives,
  { vision, text }: ModelConfig,
  pairs: Pick<SigmoidSettings, 'kin' | 'anyText'> = {},
): {
  readonly objectives: PhaseSettings['objectives'];
  readonly parts: NonNullable<PhaseSettings['batches']['parts']>;
} {
  const own = distillationWeight(vision.width);
  const patches = Math.floor(vision.resolution / vision.patch) ** 2;
  const local = localToGlobal && {
    ...localToGlobal,
    weight: localToGlobal.weight ?? own,
    resolution: localToGlobal.resolution ?? localResolution(vision),
  };
  const masked = maskedPrediction && { ...maskedPrediction, weight: maskedPrediction.weight ?? 0.25 * own };
  return {
    objectives: {
      ...(sigmoid !== undefined && { sigmoid: { weight: sigmoid, ...pairs } }),
      ...(captioning && {
        captioning: { weight: captioning.weight, depth: captioning.depth ?? halfDepth(text), chunk: captioning.chunk },
      }),
      ...(local && { localToGlobal: local }),
      ...(masked && { maskedPrediction: masked }),
      ...(hardNegatives && { hardNegatives }),
    },
    parts: {
      ...(sigmoid !== undefined && pairs.kin && { groups: { ...(pairs.anyText && { anyText: true as const }) } }),
      ...(captioning && { captionTargets: { parallel: captioning.parallel, lossOn: captioning.lossOn } }),
      ...((local ?? masked) && { globalView: {} }),
      ...(local && { localViews: { views: local.views, resolution: local.resolution } }),
      ...(hardNegatives && { hardNegatives: { texts: hardNegatives.texts } }),
      ...(masked && { maskedPatches: { patches, count: Math.round(masked.share * patches) } }),
    },
  };
}

/** Layers of a decoder where a recipe says none. */
export const halfDepth = ({ depth }: ModelConfig['text']) => Math.max(1, Math.floor(depth / 2));

/** Three eighths of the image in whole patches. */
const localResolution = ({ patch, resolution }: ModelConfig['vision']) =>
  patch * Math.max(1, Math.round((0.375 * resolution) / patch));
