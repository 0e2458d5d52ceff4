import { SkippedMembers } from '../../data/index/skipped-members.ts';
import type { SkippedSummary } from '../../data/index/types.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { type Matrix, unitRows } from '../numbers/matrix.ts';
import type { ModelHead, PartExample, PartFile } from './part-file.ts';
import { type View, viewName } from './view.ts';

/** Texts of pictures: rows of length 1, and the number of the picture that each is of. */
export interface CaptionRows extends Matrix {
  readonly of: Int32Array;
}

/**
 * The features of a set of examples, part by part. What is asked for is read then; what is gathered of all parts is in
 * memory: 3 kB an example of pooled features at width 768. Features of patches are for `parts` alone.
 */
export class FeatureSet {
  readonly parts: readonly PartFile[];
  /** Of the model that they are of. */
  readonly config: ModelConfig;

  constructor(parts: readonly PartFile[], config: ModelConfig) {
    this.parts = parts;
    this.config = config;
  }

  /** In their order, everywhere. */
  get examples(): PartExample[] {
    return this.parts.flatMap(({ facts }) => facts.examples);
  }

  /** Of each example what it shows. */
  get concepts(): (readonly string[])[] {
    return this.examples.map(({ concepts }) => concepts);
  }

  /** Null when all could be used. */
  get skipped(): SkippedSummary | null {
    return new SkippedMembers(this.parts.flatMap(({ facts }) => facts.skipped)).summary();
  }

  /** Of the model; null where no evaluator asked for it. */
  get head(): ModelHead | null {
    return this.parts[0]?.facts.head ?? null;
  }

  /** (n, D) `pooler_output`, as the model makes it. */
  pooled(view: View): Promise<Matrix> {
    return this.#gather(`pooled/${viewName(this.config, view)}`);
  }

  /** (n, D) the same, of length 1. */
  async unit(view: View): Promise<Matrix> {
    return unitRows(await this.pooled(view));
  }

  /** The captions in a language; none where no picture has one. */
  async captions(language: string): Promise<CaptionRows> {
    const of: Int32Array[] = [];
    let before = 0;
    for (const part of this.parts) {
      of.push((await part.integers(`captions-of/${language}`)).map((picture) => before + picture));
      before += part.facts.examples.length;
    }
    return { ...(await this.#gather(`captions/${language}`)), of: Int32Array.from(of.flatMap((some) => [...some])) };
  }

  /** A name for the file of each picture: equal files have equal ones. */
  async hashes(): Promise<string[]> {
    const found: string[] = [];
    for (const part of this.parts) {
      const pairs = await part.integers('hash');
      for (let i = 0; i < pairs.length; i += 2) found.push(`${pairs[i]},${pairs[i + 1]}`);
    }
    return found;
  }

  async #gather(name: string): Promise<Matrix> {
    const { width } = this.config.vision;
    const rows = new Float32Array(this.parts.reduce((sum, part) => sum + part.shape(name)[0]! * width, 0));
    let at = 0;
    for (const part of this.parts) {
      const own = await part.floats(name);
      rows.set(own, at);
      at += own.length;
    }
    return { width, rows };
  }
}
