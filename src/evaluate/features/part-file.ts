import { createHash } from 'node:crypto';
import type { Truth } from '../../data/example/truth.ts';
import type { CorruptMember, PixelKind } from '../../data/index/types.ts';
import { RunnerError } from '../../runtime/errors.ts';
import {
  type Dtype,
  inFileOrder,
  SafetensorsFile,
  type TensorToWrite,
  writeSafetensors,
} from '../../safetensors/safetensors.ts';

/** An example of a part, beside its tensors. */
export interface PartExample {
  /** Key of its shard, and its name there. */
  readonly shard: string;
  readonly name: string;
  /** What it shows; several where several labels are right, none where it has no label. */
  readonly concepts: readonly string[];
  /** Where an evaluator needs it. */
  readonly truth?: Truth;
  /** [width, height] of the picture in pixels, with `truth`. */
  readonly size?: readonly [number, number];
  /** Its captions by language, where an evaluator needs them as texts. */
  readonly texts?: Readonly<Record<string, readonly string[]>>;
  /** What the decoder of the model says of it, by view. */
  readonly said?: Readonly<Record<string, Said>>;
  /** Of truth with a value a pixel that was asked for and can't be used: what is wrong with it. */
  readonly faults?: Readonly<Partial<Record<PixelKind, string>>>;
}

/** Greedy: the caption, and for each of the picture's regions, in their order, where it is and what it shows. */
export interface Said {
  readonly captioning?: string;
  readonly referring?: readonly string[];
  readonly grounded?: readonly string[];
}

/** `logit_scale` and `logit_bias`: a pair has the logit exp(scale) cosine + bias. */
export interface ModelHead {
  readonly logitScale: number;
  readonly logitBias: number;
}

/** What a part of features says of itself. */
export interface PartFacts {
  /** `specHash` of what it was made by. */
  readonly spec: string;
  readonly part: number;
  readonly examples: readonly PartExample[];
  /** Members that could not be used: counted, and some of them named. */
  readonly skipped: readonly CorruptMember[];
  /** Of the model, where an evaluator needs it. */
  readonly head?: ModelHead;
  /** What made it: features are adopted whoever made them. Parts of before don't say. */
  readonly made?: { readonly device: 'cpu' | 'gpu'; readonly code: string };
}

type TensorData = Float32Array | Int32Array | Uint16Array | Uint8Array;

export interface PartTensors {
  readonly [name: string]: { readonly shape: readonly number[]; readonly data: TensorData };
}

function dtypeOf(data: TensorData): Dtype {
  if (data instanceof Float32Array) return 'F32';
  if (data instanceof Int32Array) return 'I32';
  return data instanceof Uint16Array ? 'U16' : 'U8';
}

/** Writes a part: the same of the same tensors, with a hash of them in its header. */
export async function writePart(
  file: string,
  facts: PartFacts,
  tensors: PartTensors,
): Promise<{ bytes: number; sha256: string }> {
  const all = inFileOrder(
    Object.entries(tensors).map(([name, { shape, data }]): TensorToWrite => {
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      return { name, shape, dtype: dtypeOf(data), data: bytes };
    }),
  );
  const hash = createHash('sha256');
  for (const { data } of all) hash.update(data as Uint8Array);
  const metadata = { facts: JSON.stringify(facts), data: hash.digest('hex') };
  return writeSafetensors(file, all, { metadata, sync: false });
}

/** sha256 of the tensors of a part, one after another. */
export async function dataHash(file: SafetensorsFile): Promise<string> {
  const hash = createHash('sha256');
  const inOrder = [...file.tensors].sort(([, a], [, b]) => a.offset - b.offset);
  for (const [name] of inOrder) for await (const chunk of file.chunks(name, 8 * 1024 ** 2)) hash.update(chunk);
  return hash.digest('hex');
}

/** A part on the local disk. */
export class PartFile {
  readonly facts: PartFacts;
  readonly #file: SafetensorsFile;

  private constructor(file: SafetensorsFile, facts: PartFacts) {
    this.#file = file;
    this.facts = facts;
  }

  /** DataContract, with `key`, when it is damaged or was made by another spec. */
  static async open(path: string, of: { readonly spec: string; readonly part: number; readonly key: string }) {
    const fail = (problem: string, cause?: unknown) =>
      new RunnerError(
        'DataContract',
        `the features ${of.key} ${problem}; delete that object and start the evaluation again, which makes them anew`,
        { cause },
      );
    const file = await SafetensorsFile.open(path).catch((error) => {
      throw fail('are no safetensors file', error);
    });
    try {
      const facts = JSON.parse(file.metadata.facts ?? 'null') as PartFacts | null;
      if (facts?.spec !== of.spec || facts.part !== of.part) throw fail('are of another evaluation');
      if ((await dataHash(file)) !== file.metadata.data) throw fail('have other bytes than were written');
      return new PartFile(file, facts);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  has(name: string): boolean {
    return this.#file.tensors.has(name);
  }

  shape(name: string): readonly number[] {
    return this.#file.info(name).shape;
  }

  floats(name: string): Promise<Float32Array> {
    return this.#file.readFloats(name);
  }

  /** Rows (first axis) of a tensor of floats, one after another. */
  async rows(name: string, rows: readonly number[]): Promise<Float32Array> {
    return new Float32Array((await this.#file.readRows(name, rows)).buffer);
  }

  async integers(name: string): Promise<Int32Array> {
    return new Int32Array((await this.#file.read(name)).buffer);
  }

  /** Of a tensor of 8 or 16 bits without a sign. */
  async naturals(name: string): Promise<Uint8Array | Uint16Array> {
    const bytes = await this.#file.read(name);
    return this.#file.info(name).dtype === 'U16' ? new Uint16Array(bytes.buffer) : bytes;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
