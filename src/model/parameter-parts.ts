import { tokenTable } from './parameters.ts';

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

/** All names of parts. */
export const partNames = Object.keys(beginnings) as Exclude<ParameterPart, 'other'>[];

/** Where the blocks of a part are numbered. */
const stacks = {
  imageBlocks: 'vision_model.encoder.layers.',
  textBlocks: 'text_model.encoder.layers.',
  decoder: 'decoder.layers.',
} as const;
export type Stack = keyof typeof stacks;

/** The block that a parameter lies in; null for what lies in none. */
export function blockOf(parameter: string): { readonly stack: Stack; readonly index: number } | null {
  for (const [stack, beginning] of Object.entries(stacks) as [Stack, string][])
    if (parameter.startsWith(beginning))
      return { stack, index: Number.parseInt(parameter.slice(beginning.length), 10) };
  return null;
}

/**
 * Whether a person means a parameter: by a tower (`vision`, `text`), a part (`mapHead`), blocks of one (`imageBlocks.0-7`,
 * `textBlocks.3`), its name, or a pattern of names in which * stands for anything (`*.mlp.*`).
 */
export function isMeant(selector: string, parameter: string): boolean {
  if (selector === 'vision' || selector === 'text') return parameter.startsWith(`${selector}_model.`);
  if (Object.hasOwn(beginnings, selector)) return partOf(parameter) === selector;
  const blocks = /^(imageBlocks|textBlocks|decoder)\.(\d+)(?:-(\d+))?$/.exec(selector);
  if (blocks) {
    const [, stack, first, last = first] = blocks;
    const block = blockOf(parameter);
    return block !== null && block.stack === stack && block.index >= Number(first) && block.index <= Number(last);
  }
  const pieces = selector.split('*').map((piece) => piece.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${pieces.join('.*')}$`).test(parameter);
}
