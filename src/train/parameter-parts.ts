import { tokenTable } from '../model/parameters.ts';

/** The parts of a model that people look at apart, with how the names of their parameters begin: the first that fits counts. */
const beginnings = {
  patchEmbedding: ['vision_model.embeddings.patch_embedding.'],
  imagePositions: ['vision_model.embeddings.position_embedding.'],
  mapHead: ['vision_model.head.'],
  /** With the norm after them, as of the texts. */
  imageBlocks: ['vision_model.'],
  tokenTable: [tokenTable],
  textPositions: ['text_model.embeddings.position_embedding.'],
  textHead: ['text_model.head.'],
  textBlocks: ['text_model.'],
  decoder: ['decoder.'],
  /** Of self-distillation, with the mask token. */
  heads: ['dino_head.', 'patch_head.', 'mask_token'],
  scaleAndBias: ['logit_scale', 'logit_bias'],
} as const;

export type ParameterPart = keyof typeof beginnings | 'other';

/** The part that a parameter belongs to, by its name. */
export function partOf(parameter: string): ParameterPart {
  const parts = Object.entries(beginnings) as [ParameterPart, readonly string[]][];
  return parts.find(([, names]) => names.some((name) => parameter.startsWith(name)))?.[0] ?? 'other';
}
