import pMap from 'p-map';
import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { PhaseSteps } from '../../recipe/steps.ts';
import { isRunnerError } from '../../runtime/errors.ts';
import { fromThreadError } from '../../runtime/thread-error.ts';
import { tokenizerOf } from '../example/compacted.ts';
import type { TextTokenizer } from '../example/tokenizer.ts';
import type { ScoreIndex } from '../index/score-index.ts';
import type { ShardCache } from '../index/shard-cache.ts';
import type { DataIndex } from '../index/types.ts';
import { patchArrays, squareArrays } from '../views/image-arrays.ts';
import { AlikeRows, AlikeSoFar, sameTokens } from './alike.ts';
import { BrokenShards } from './broken-shards.ts';
import { drawnOf, shortened } from './described.ts';
import { type Draws, openDraws } from './draws.ts';
import { ExampleReader } from './example-reader.ts';
import { KeptExamples } from './kept-examples.ts';
import { PartArrays } from './part-arrays.ts';
import { rowsOfPiece } from './row-bytes.ts';
import { type Met, RowFiller } from './row-filler.ts';
import { ScoreReader } from './score-reader.ts';
import { failedStrip, joinedStrips, type RowMaker, type Strip, type UntoldStrip } from './strip.ts';
import type { Texts } from './texts.ts';
import type { Batch, DescribedExample, Piece } from './types.ts';

const decodedAtOnce = 4;

/** Who else makes batches. */
export interface Helpers {
  /** Makes the rows, several at a time. */
  readonly rows?: RowMaker | null;
  readonly texts?: Texts | null;
  /** Threads that keep decoded pictures, each a part of what one would. */
  readonly sharers?: number;
}

/**
 * Makes batch k of a plan. Its bytes are a pure function of (index, plan, k); everything kept between calls only
 * saves time. Read errors are thrown; an example that can't be used is replaced by a draw of its own (k, attempt),
 * which moves no other example.
 */
export class BatchMaker {
  readonly #plan: BatchPlan;
  readonly #steps: PhaseSteps;
  readonly #draws: Draws;
  readonly #examples: ExampleReader;
  readonly #filler: RowFiller;
  readonly #broken: BrokenShards;
  #loaded: TextTokenizer | null = null;
  readonly #rowsBy: RowMaker | null;
  readonly #texts: Texts | null;

  /** `scores`: what the plan's part teacherScores reads from. */
  constructor(
    index: DataIndex,
    plan: BatchPlan,
    shards: ShardCache,
    scores: ScoreIndex | null = null,
    { rows = null, texts = null, sharers = 1 }: Helpers = {},
  ) {
    this.#rowsBy = rows;
    this.#texts = texts;
    this.#plan = plan;
    this.#steps = new PhaseSteps(plan);
    this.#broken = new BrokenShards(index, plan.data);
    const reader = scores && new ScoreReader(scores, index, shards);
    this.#draws = openDraws(index, plan, shards, reader);
    this.#examples = new ExampleReader(index, shards, this.#draws.filters, sharers);
    const kept = index.weights ? new KeptExamples(index, plan.seed, shards) : null;
    const from = { draws: this.#draws, reader: this.#examples, scores: reader, kept };
    this.#filler = new RowFiller(index, plan, from, () => this.#tokenizer);
  }

  /** Loaded when it is first needed: that takes a second, and threads that make rows mostly do without. */
  get #tokenizer(): TextTokenizer {
    this.#loaded ??= tokenizerOf(this.#plan.vocabulary, this.#plan.addedTokens);
    return this.#loaded;
  }

  /** The whole batch at once. */
  async make(batch: number): Promise<Batch> {
    const { count } = this.#steps.at(batch);
    return this.#checked(await this.strip(batch, 0, count), new AlikeRows());
  }

  /** The batch in pieces of so many bytes, in order, each made when it is asked for. */
  pieces(batch: number, bytes?: number): AsyncGenerator<Piece> {
    return this.allPieces([batch], bytes);
  }

  /** The pieces of batches. Where rows are made elsewhere, those of the next piece are while this one comes together. */
  async *allPieces(batches: Iterable<number>, bytes?: number): AsyncGenerator<Piece> {
    const making: {
      readonly made: Promise<Strip>;
      readonly of: Omit<Piece, keyof Batch>;
      readonly alike: AlikeRows;
    }[] = [];
    const next = async () => {
      const { made, of, alike } = making.shift()!;
      return { ...this.#checked(await made, alike), ...of };
    };
    for (const batch of batches) {
      const steps = this.#steps.at(batch);
      const rows = rowsOfPiece(this.#plan, steps, bytes);
      const alike = new AlikeRows();
      for (let first = 0; first < steps.count; first += rows) {
        const count = Math.min(rows, steps.count - first);
        const made = this.#rowsBy ? this.#strips(this.#rowsBy, batch, first, count) : this.strip(batch, first, count);
        // It is told when its turn comes.
        made.catch(() => {});
        making.push({ made, of: { first, count, of: steps.count }, alike });
        if (making.length > (this.#rowsBy ? 1 : 0)) yield await next();
      }
    }
    while (making.length > 0) yield await next();
  }

  /** Rows of a piece by parts, in whatever order they come. */
  async #strips(by: RowMaker, batch: number, from: number, count: number): Promise<Strip> {
    const { length } = this.#steps.at(batch);
    const rows = by.rowsAtOnce(this.#plan, count, length);
    const firsts = Array.from({ length: Math.ceil(count / rows) }, (_, i) => from + i * rows);
    const strips = await Promise.all(
      firsts.map(async (first) => {
        const own = Math.min(rows, from + count - first);
        return this.#tokenised(await by.strip(batch, first, own), own);
      }),
    );
    return joinedStrips(strips);
  }

  async #tokenised({ untold, ...strip }: UntoldStrip, count: number): Promise<Strip> {
    if (strip.failure) return { ...strip, same: { ...untold.same, tokens: null }, tokens: new Int32Array(0) };
    const { texts } = untold;
    const tokens = await (this.#texts?.(texts) ?? this.#tokenizer.tokenize(texts, this.#plan.textLength));
    return { ...strip, tokens, same: { ...untold.same, tokens: sameTokens(tokens, count) } };
  }

  /** What of a strip is for the trainer. What is wrong with the data is told in the order of the rows, whoever made them. */
  #checked({ broken, failure, same, ...made }: Strip, alike: AlikeRows): Batch {
    for (const { ref, corrupt } of broken) this.#broken.add(ref, corrupt);
    if (failure) throw fromThreadError(failure);
    const all = alike.and(same);
    return { ...made, ...(all && { alike: all }) };
  }

  /** `count` rows of a batch from `from` on, made here. */
  async strip(batch: number, from: number, count: number): Promise<Strip> {
    return this.#tokenised(await this.untold(batch, from, count), count);
  }

  /** The same, of which the texts are not turned into tokens yet. */
  async untold(batch: number, from: number, count: number): Promise<UntoldStrip> {
    const { first: start, length } = this.#steps.at(batch);
    const first = start + from;
    const images = length === null ? squareArrays(this.#plan, count) : patchArrays(this.#plan.naflex!, count, length);
    const described: DescribedExample[] = new Array(count);
    const parts = new PartArrays(this.#plan, count);
    const alike = new AlikeSoFar();
    const met = Array.from({ length: count }, (): Met => ({ skipped: [], broken: [], failure: null }));
    let filtered = 0;
    await pMap(
      met,
      async (own, i) => {
        try {
          const filled = await this.#filler.fill(first + i, images, parts, i, own);
          const { pixels, meta, text, language, source } = filled;
          for (const seen of alike.add(pixels, meta)) this.#examples.done(seen);
          described[i] = { key: meta.key, text, language, source };
          filtered += filled.filtered;
        } catch (error) {
          if (!isRunnerError(error, 'DataContract')) throw error;
          own.failure = error;
        }
      },
      { concurrency: decodedAtOnce },
    );
    const failed = met.findIndex(({ failure }) => failure !== null);
    if (failed >= 0)
      return failedStrip(
        batch,
        met.slice(0, failed + 1).flatMap(({ broken }) => broken),
        met[failed]!.failure,
      );
    const texts = described.map(({ text }) => text);
    const all = { ...images.parts, ...parts.values };
    const epochs = this.#draws.epochsAt(first + count);
    const made: UntoldStrip = {
      index: batch,
      images: images.images,
      parts: all,
      skipped: met.flatMap(({ skipped }) => skipped),
      broken: met.flatMap(({ broken }) => broken),
      untold: { texts, same: alike.same() },
      ...(this.#draws.filters && { filtered }),
      ...(epochs && { epochs }),
    };
    if (this.#plan.candidates !== undefined) return { ...made, described: described.map(shortened) };
    const own = { ...made, drawn: drawnOf(described) };
    return length === null ? own : { ...own, length };
  }

  /** Brings what a row of batch k and its successors need to disk. */
  async fetchAhead(batch: number, row = 0): Promise<void> {
    await this.#draws.fetchAhead(this.#steps.at(batch).first + row);
  }
}
