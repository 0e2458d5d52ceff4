import type { PartExample, PartFacts } from '../evaluate/features/part-file.ts';
import type { Matrix } from '../evaluate/numbers/matrix.ts';
import { RunnerError } from '../runtime/errors.ts';
import { openRanged, readingAhead, type TensorParts } from '../safetensors/safetensors.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** A part in the bucket, read in ranges: what nobody asks for is not fetched. */
export class StoredPart {
  readonly facts: PartFacts;
  /** Of its tensors, as its header says. */
  readonly data: string;
  readonly #file: TensorParts;

  private constructor(file: TensorParts, facts: PartFacts, data: string) {
    this.#file = file;
    this.facts = facts;
    this.data = data;
  }

  /** DataContract where it is no part, or another than `etag` says. */
  static async open(
    store: Pick<ObjectStore, 'bucket' | 'get'>,
    { key, bytes, etag }: { readonly key: string; readonly bytes: number; readonly etag: string },
  ): Promise<StoredPart> {
    const fail = (problem: string) =>
      new RunnerError(
        'DataContract',
        `s3://${store.bucket}/${key}: ${problem}; delete that object and start siglip2Embed again with the same settings`,
      );
    const read = (offset: number, size: number) => store.get(key, { offset, size, etag });
    const file = await openRanged(key, bytes, readingAhead(read, bytes, 1024 ** 2), fail);
    const { facts, data } = file.metadata;
    if (facts === undefined || data === undefined) throw fail('it is no part of embeddings');
    return new StoredPart(file, JSON.parse(facts) as PartFacts, data);
  }

  get examples(): readonly PartExample[] {
    return this.facts.examples;
  }

  shape(name: string): readonly number[] {
    return this.#file.info(name).shape;
  }

  /** Rows (first axis) of a tensor of floats, from one to before another, each of `width` numbers. */
  async rows(name: string, from: number, to: number): Promise<Matrix> {
    const width = this.shape(name)
      .slice(1)
      .reduce((product, size) => product * size, 1);
    const bytes = await this.#file.readPart(name, from * width * 4, (to - from) * width * 4);
    return { width, rows: new Float32Array(bytes.buffer) };
  }

  async integers(name: string): Promise<Int32Array> {
    const { bytes } = this.#file.info(name);
    return new Int32Array((await this.#file.readPart(name, 0, bytes)).buffer);
  }
}
