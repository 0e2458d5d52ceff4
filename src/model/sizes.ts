/**
 * Tower sizes by name: `decode_variant` of big_vision `models/vit.py`, and MODEL_CONFIGS of the
 * transformers conversion script (SigLIP 2 paper, Table 1 of arXiv 2502.14786).
 */
export interface TowerSize {
  readonly width: number;
  readonly depth: number;
  readonly mlp: number;
  readonly heads: number;
}

export const towerSizes = {
  mu: { width: 32, depth: 1, mlp: 128, heads: 2 },
  Ti: { width: 192, depth: 12, mlp: 768, heads: 3 },
  S: { width: 384, depth: 12, mlp: 1536, heads: 6 },
  M: { width: 512, depth: 12, mlp: 2048, heads: 8 },
  B: { width: 768, depth: 12, mlp: 3072, heads: 12 },
  L: { width: 1024, depth: 24, mlp: 4096, heads: 16 },
  So400m: { width: 1152, depth: 27, mlp: 4304, heads: 16 },
  'g-opt': { width: 1536, depth: 40, mlp: 6144, heads: 16 },
} as const satisfies Record<string, TowerSize>;

export type SizeName = keyof typeof towerSizes;

/** The text tower that goes with a vision tower of this name: g-opt reads with So400m's. */
export function textSizeFor(vision: SizeName): SizeName {
  return vision === 'g-opt' ? 'So400m' : vision;
}

/** Everything that fixes the shapes of the two towers. */
export interface ModelConfig {
  readonly vision: TowerSize & {
    readonly patch: number;
    /**
     * Pixels on a side of the square input. NaFlex: of the square whose patches have the stored position embeddings,
     * 256 in the paper, 16 x 16 patches of 16 pixels.
     */
    readonly resolution: number;
    /** fixed if not given: squares of one size (SiglipModel). naflex: any shape, any length (Siglip2Model). */
    readonly kind?: 'fixed' | 'naflex';
  };
  readonly text: TowerSize & {
    /** Tokens of a text, 64 in the paper. */
    readonly length: number;
    /** Rows of the token table in training: 256,000, or the length of the compacted id list. */
    readonly vocabulary: number;
    /** Tokens beside Gemma's, of which the first has the first id after those; absent: none. */
    readonly addedTokens?: readonly string[];
  };
}

/** Tokens of Gemma. */
export const fullVocabulary = 256_000;

/** Rows that the token table of a model has in its files: Gemma's, and those of added tokens. */
export const wholeVocabulary = ({ addedTokens = [] }: Pick<ModelConfig['text'], 'addedTokens'>): number =>
  fullVocabulary + addedTokens.length;

/** Of every layer norm. */
export const normEpsilon = 1e-6;

/** Width of the shared embedding space: the vision tower's (there is no image projection). */
export function embeddingWidth(config: ModelConfig): number {
  return config.vision.width;
}
