import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { randomStream } from '../../runtime/random.ts';
import { type Caption, chooseCaption } from '../example/captions.ts';
import { CorruptExample } from '../example/corrupt-example.ts';
import type { TextTokenizer } from '../example/tokenizer.ts';
import type { CorruptMember, DataIndex } from '../index/types.ts';
import { drawCrop } from '../views/crop.ts';
import type { ImageArrays } from '../views/image-arrays.ts';
import type { DecodedExample } from './decoded-cache.ts';
import type { Draws } from './draws.ts';
import { type ExampleReader, FilteredExample } from './example-reader.ts';
import type { KeptExamples } from './kept-examples.ts';
import type { PartArrays } from './part-arrays.ts';
import type { ScoreReader } from './score-reader.ts';
import type { MetBroken } from './strip.ts';

const candidates = 64;
/** Of one place: in a language that fewer examples have there is nothing to train on. */
const mostFiltered = 10_000;
/** By a filter, where asking is looking up a bit: of a block that has one example in 50,000 left it is still found. */
const mostLeftOut = 1_000_000;
const corruptKept = 10_000;

/** What was met on the way to the example of a row. */
export interface Met {
  readonly skipped: CorruptMember[];
  readonly broken: MetBroken[];
  failure: RunnerError | null;
}

export interface FilledRow extends DecodedExample, Pick<Caption, 'text' | 'language'> {
  readonly source: string | null;
  /** Examples that were passed over before it was found. */
  readonly filtered: number;
}

/** Where the examples of rows come from. */
export interface RowSources {
  readonly draws: Draws;
  readonly reader: ExampleReader;
  readonly scores: ScoreReader | null;
  /** What a filter leaves; null where there is none. */
  readonly kept: KeptExamples | null;
}

/** Finds the example of each row and writes what it comes to: one that can't be used is replaced by a draw of its own. */
export class RowFiller {
  readonly #index: DataIndex;
  readonly #plan: BatchPlan;
  readonly #draws: Draws;
  readonly #reader: ExampleReader;
  readonly #scores: ScoreReader | null;
  readonly #kept: KeptExamples | null;
  readonly #tokenizer: () => TextTokenizer;
  readonly #corrupt = new Map<string, { readonly corrupt: CorruptMember; readonly isRead: boolean }>();

  constructor(
    index: DataIndex,
    plan: BatchPlan,
    { draws, reader, scores, kept }: RowSources,
    tokenizer: () => TextTokenizer,
  ) {
    this.#index = index;
    this.#plan = plan;
    this.#draws = draws;
    this.#reader = reader;
    this.#scores = scores;
    this.#kept = kept;
    this.#tokenizer = tokenizer;
  }

  /** Writes the image and the parts of example k to place `i` of the batch; gives what it is, and the text that it has. */
  async fill(
    k: number,
    images: ImageArrays,
    parts: PartArrays,
    i: number,
    { skipped, broken }: Met,
  ): Promise<FilledRow> {
    const { seed, phase } = this.#plan;
    let [filtered, leftOut, unusable] = [0, 0, 0];
    for (let attempt = 0; unusable < candidates && filtered < mostFiltered && leftOut < mostLeftOut; attempt++) {
      const draw = await this.#draws.draw(k, attempt);
      const { ref, shard, entry, data, source } = draw;
      if (this.#kept && !(await this.#kept.keeps(ref))) {
        leftOut++;
        continue;
      }
      const name = `${source ?? ''} ${shard.key}/${entry.name}`;
      const known = this.#corrupt.get(name);
      if (known) {
        skipped.push(known.corrupt);
        if (!known.isRead) broken.push({ ref, corrupt: known.corrupt });
        unusable++;
        continue;
      }
      let isRead = false;
      try {
        const example = await this.#reader.read(draw);
        const { pixels, meta } = example;
        isRead = true;
        const caption = chooseCaption(meta, data, randomStream(seed, `caption/${phase}`, k));
        const crop = drawCrop(pixels, data.augment, randomStream(seed, `crop/${phase}`, k));
        images.fill(i, pixels, crop);
        const tokenizer = this.#tokenizer;
        await parts.fill(i, {
          ...{ k, ref, pixels, meta, crop, ...caption, scores: this.#scores },
          get tokenizer() {
            return tokenizer();
          },
        });
        const { text, language } = caption;
        return { ...example, text, language, source: source ?? meta.source ?? null, filtered: filtered + leftOut };
      } catch (error) {
        if (error instanceof FilteredExample) {
          filtered++;
          continue;
        }
        if (!(error instanceof CorruptExample)) throw error;
        const corrupt = { shard: shard.key, name: entry.name, reason: error.message };
        this.#remember(name, { corrupt, isRead });
        skipped.push(corrupt);
        unusable++;
        // One that has no text in a language of the recipe is whole.
        if (!isRead) broken.push({ ref, corrupt });
      }
    }
    throw this.#nothingUsable({ filtered, leftOut }, skipped.at(-1));
  }

  /** Not without end: what was forgotten is found out again. */
  #remember(key: string, met: { readonly corrupt: CorruptMember; readonly isRead: boolean }): void {
    this.#corrupt.set(key, met);
    if (this.#corrupt.size > corruptKept) this.#corrupt.delete(this.#corrupt.keys().next().value!);
  }

  #nothingUsable(passed: { filtered: number; leftOut: number }, last: CorruptMember | undefined): RunnerError {
    const below = `drawn one after the other below ${this.#index.prefix}`;
    const problem =
      passed.leftOut === mostLeftOut
        ? `of ${mostLeftOut} examples ${below} none is left by the filter; let it leave more, npm run siglip2 -- data filter NAME says what is left out by which reason`
        : passed.filtered === mostFiltered
          ? `of ${mostFiltered} examples ${below} ${this.#kept ? 'that the filter leaves ' : ''}none has a text in a language that is drawn there; npm run siglip2 -- data look says which they have`
          : `${candidates} examples ${below} can't be used, the last because: ${last?.reason} (${last?.shard}, ${last?.name})`;
    return new RunnerError('DataContract', `data: ${problem}`);
  }
}
