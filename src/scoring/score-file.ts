import { createHash } from 'node:crypto';
import { type ScoreDtype, scoreBytes } from '../data/index/score-index.ts';
import type { ShardIndex } from '../data/index/types.ts';
import { storedPatches } from '../evaluate/image-input.ts';
import { embeddingWidth, type ModelConfig } from '../model/sizes.ts';
import type { Resize } from '../recipe/schema.ts';
import { canonicalJson, hashJson, sha256 } from '../runtime/hash.ts';
import { toBfloat16 } from '../safetensors/float-bytes.ts';
import { writeSafetensors } from '../safetensors/safetensors.ts';

/**
 * A file of scores: what a teacher makes of every example of one data shard, as safetensors. `images` and
 * `texts.<language>` are (n, E), rows in the order of the shard's index; the `__metadata__` says what they are of.
 */
export const scoreFormat = 'siglip2-scores';
export const scoreVersion = 1;

/** All that fixes the content of a file of scores, but for the teacher's own numbers. */
export interface ScoreFacts {
  readonly teacher: {
    /** For people: run/phase@step. */
    readonly name: string;
    /** Of the checkpoint. */
    readonly sha256: string;
  };
  readonly model: ModelConfig;
  /** Ascending, each once. */
  readonly languages: readonly string[];
  readonly dtype: ScoreDtype;
  /** How pictures become squares; absent: as big_vision does. */
  readonly resize?: Resize | undefined;
  readonly shard: ShardIndex;
}

/** Names all files of one scoring: equal when teacher, settings and data are. `indexSha256`: of the DataIndex, without the hashes of its shards. */
export function scoringHash(
  { teacher, model, languages, dtype, resize }: Omit<ScoreFacts, 'shard'>,
  indexSha256: string,
): string {
  const preprocessing = preprocessingOf(model, resize);
  const what = { scoreVersion, teacher: teacher.sha256, preprocessing, languages, dtype };
  return hashJson({ ...what, index: indexSha256 }).slice(0, 16);
}

/** How images and texts are shown to the teacher. */
export function preprocessingOf(model: ModelConfig, resize?: Resize): string {
  const { kind = 'fixed', resolution, patch } = model.vision;
  const image =
    kind === 'naflex'
      ? { patches: storedPatches(model) }
      : { resize: resize === 'antialias' ? 'antialias' : 'bilinear' };
  return canonicalJson({ kind, resolution, patch, ...image, text_length: model.text.length });
}

/** The metadata that facts alone fix; numbers are exact in decimal. */
export function factsOf({ teacher, model, languages, dtype, resize, shard }: ScoreFacts): Record<string, string> {
  return {
    format: scoreFormat,
    version: String(scoreVersion),
    checkpoint_sha256: teacher.sha256,
    preprocessing: preprocessingOf(model, resize),
    width: String(embeddingWidth(model)),
    dtype,
    languages: languages.join(' '),
    shard: shard.key,
    shard_bytes: String(shard.bytes),
    shard_etag: shard.etag,
    examples: String(shard.examples.length),
    examples_sha256: sha256(shard.examples.map(({ name }) => `${name}\n`).join('')),
  };
}

/** The embeddings of a shard as they are computed, row by row and in any order; what is never set stays zero. */
export class ScoreTable {
  readonly #facts: ScoreFacts;
  readonly #rowBytes: number;
  readonly #tensors: ReadonlyMap<string, Uint8Array>;

  constructor(facts: ScoreFacts) {
    this.#facts = facts;
    this.#rowBytes = embeddingWidth(facts.model) * scoreBytes[facts.dtype];
    const names = ['images', ...facts.languages.map(textsOf)];
    this.#tensors = new Map(names.map((name) => [name, new Uint8Array(facts.shard.examples.length * this.#rowBytes)]));
  }

  /** Sets a row of `images` or, with a language, of its texts, rounded to nearest even when the type is bf16. */
  set(language: string | null, example: number, row: Float32Array): void {
    const bytes = new Uint8Array(row.buffer, row.byteOffset, row.byteLength);
    const stored = this.#facts.dtype === 'bf16' ? toBfloat16(bytes) : bytes;
    this.#tensors.get(language === null ? 'images' : textsOf(language))!.set(stored, example * this.#rowBytes);
  }

  /**
   * Writes the file; the same rows give the same bytes. `corrupt`: examples that the teacher could not be shown,
   * ascending.
   */
  async write(
    path: string,
    teacher: { readonly logitScale: number; readonly logitBias: number },
    corrupt: readonly number[],
  ): Promise<{ bytes: number; sha256: string }> {
    const hash = createHash('sha256');
    for (const bytes of this.#tensors.values()) hash.update(bytes);
    const { shard, model, dtype } = this.#facts;
    const shape = [shard.examples.length, embeddingWidth(model)];
    const type = dtype === 'bf16' ? 'BF16' : 'F32';
    return writeSafetensors(
      path,
      [...this.#tensors].map(([name, data]) => ({ name, dtype: type, shape, data })),
      {
        metadata: {
          ...factsOf(this.#facts),
          teacher: this.#facts.teacher.name,
          logit_scale: String(teacher.logitScale),
          logit_bias: String(teacher.logitBias),
          corrupt: JSON.stringify(corrupt),
          data_sha256: hash.digest('hex'),
        },
        sync: false,
      },
    );
  }
}

const textsOf = (language: string) => `texts.${language}`;
