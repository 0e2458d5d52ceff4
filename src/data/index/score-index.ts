import type { RemoteShard } from './part-reader.ts';
import type { ByteRange } from './types.ts';

/** How an embedding is stored: as it was computed, or rounded to half of the bytes. */
export type ScoreDtype = 'f32' | 'bf16';

/**
 * Where the embeddings lie that a teacher gave every training example, once: a file for each data shard, whose tensors
 * `images` and `texts.<language>` (n, width) follow one another in the order of `languages`. Row i is that of example i
 * of the shard; of an example without a language the row of its text is zero.
 */
export interface ScoreIndex {
  readonly version: 1;
  readonly teacher: {
    readonly run: string;
    readonly phase: string;
    readonly revision: number;
    readonly step: number;
    /** Of the checkpoint. */
    readonly sha256: string;
  };
  /** Of the teacher, as in its checkpoint. */
  readonly logitScale: number;
  readonly logitBias: number;
  /** Width of an embedding. */
  readonly width: number;
  readonly dtype: ScoreDtype;
  /** Ascending; of each the text is an example's first caption. */
  readonly languages: readonly string[];
  /** Of the DataIndex whose shards these are, in its order. */
  readonly dataFingerprint: string;
  readonly shards: readonly ScoreShard[];
}

export interface ScoreShard extends RemoteShard {
  readonly examples: number;
  /** Its tensors of texts, where they are not those of all: of a mixture each source has its own. */
  readonly languages?: readonly string[];
  /** Byte of the first row of `images`. */
  readonly offset: number;
  /** Over all bytes from there on. */
  readonly sha256: string;
  /** Examples that the teacher could not be shown, ascending: their rows are zero. */
  readonly corrupt: readonly number[];
}

/**
 * Bytes of the row of an example in tensor `tensor` of a file of scores: 0 is `images`, and 1 + i is the texts of
 * `languages[i]`.
 */
export function scoreRow(
  { width, dtype }: Pick<ScoreIndex, 'width' | 'dtype'>,
  { offset, examples }: Pick<ScoreShard, 'offset' | 'examples'>,
  tensor: number,
  example: number,
): ByteRange {
  const size = width * scoreBytes[dtype];
  return { offset: offset + (tensor * examples + example) * size, size };
}

export const scoreBytes: Readonly<Record<ScoreDtype, number>> = { f32: 4, bf16: 2 };
