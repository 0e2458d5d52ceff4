import { RunnerError } from '../../runtime/errors.ts';
import { CorruptExample } from '../example/corrupt-example.ts';
import type { RemoteShard } from '../index/part-reader.ts';
import { type ScoreIndex, scoreRow } from '../index/score-index.ts';
import type { ShardCache } from '../index/shard-cache.ts';
import type { DataIndex } from '../index/types.ts';
import type { ExampleRef } from './order.ts';

const rangesKept = 2000;

/** Reads single embeddings of stored scores, through the cache that the shards of the data go through. */
export class ScoreReader {
  readonly #scores: ScoreIndex;
  readonly #shards: ShardCache;
  readonly #ranges = new Map<string, RemoteShard>();

  /** DataContract when these are the scores of other data. */
  constructor(scores: ScoreIndex, index: DataIndex, shards: ShardCache) {
    const fits = ({ examples }: DataIndex['shards'][number], i: number) => scores.shards[i]?.examples === examples;
    if (
      scores.dataFingerprint !== index.fingerprint ||
      scores.shards.length !== index.shards.length ||
      !index.shards.every(fits)
    )
      throw new RunnerError(
        'DataContract',
        `the stored scores are those of other data than lies below ${index.prefix}: score it again`,
      );
    this.#scores = scores;
    this.#shards = shards;
  }

  get width(): number {
    return this.#scores.width;
  }

  /** The embedding of an image, exactly as it is stored. `CorruptExample` when the teacher could not be shown it. */
  image(ref: ExampleRef, out: Float32Array): Promise<void> {
    return this.#read(ref, 0, out);
  }

  /** The embedding of the first caption of a language. */
  text(ref: ExampleRef, language: string, out: Float32Array): Promise<void> {
    const languages = this.#languagesOf(ref);
    // That of the images is 0.
    const tensor = languages.indexOf(language) + 1;
    if (tensor === 0)
      throw new RunnerError(
        'DataContract',
        `the stored scores have texts in ${languages.join(', ')}, and ${language} is wanted: score it again`,
      );
    return this.#read(ref, tensor, out);
  }

  /** The file of a shard, or of it the rows of a range. */
  fileOf({ shard, range }: Pick<ExampleRef, 'shard' | 'range'>): RemoteShard {
    const stored = this.#scores.shards[shard]!;
    if (!range) return stored;
    const key = `${shard}/${range.first}/${range.count}`;
    const known = this.#ranges.get(key);
    if (known) return known;
    const parts = Array.from({ length: this.#languagesOf({ shard }).length + 1 }, (_, tensor) => {
      const { offset, size } = scoreRow(this.#scores, stored, tensor, range.first);
      return { offset, size: size * range.count };
    });
    const file = { key: stored.key, bytes: stored.bytes, etag: stored.etag, parts };
    this.#ranges.set(key, file);
    if (this.#ranges.size > rangesKept) this.#ranges.delete(this.#ranges.keys().next().value!);
    return file;
  }

  #languagesOf({ shard }: Pick<ExampleRef, 'shard'>): readonly string[] {
    return this.#scores.shards[shard]!.languages ?? this.#scores.languages;
  }

  async #read(ref: ExampleRef, tensor: number, out: Float32Array): Promise<void> {
    const stored = this.#scores.shards[ref.shard]!;
    if (stored.corrupt.includes(ref.example)) throw new CorruptExample('the teacher could not be shown it');
    const place = scoreRow(this.#scores, stored, tensor, ref.example);
    const row = new Uint8Array(await this.#shards.read(this.fileOf(ref), place));
    if (this.#scores.dtype === 'f32') return out.set(new Float32Array(row.buffer));
    // The upper half of a float32 is a bfloat16: widening is exact.
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (const [i, half] of new Uint16Array(row.buffer).entries()) bits[i] = half << 16;
  }
}
