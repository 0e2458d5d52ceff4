import pMap from 'p-map';
import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { PhaseSteps } from '../../recipe/steps.ts';
import { isRunnerError, RunnerError } from '../../runtime/errors.ts';
import { randomStream } from '../../runtime/random.ts';
import { fromThreadError } from '../../runtime/thread-error.ts';
import { type Caption, chooseCaption } from '../example/captions.ts';
import { compacted } from '../example/compacted.ts';
import { CorruptExample } from '../example/corrupt-example.ts';
import { decodeInTurn } from '../example/decode-in-turn.ts';
import { checkSizes, readMeta } from '../example/example.ts';
import { RegionReader } from '../example/region-reader.ts';
import { speakingWithout, speaksAny } from '../example/spoken.ts';
import { loadTokenizer, type TextTokenizer } from '../example/tokenizer.ts';
import type { ExampleMeta } from '../example/types.ts';
import type { ScoreIndex } from '../index/score-index.ts';
import type { ShardCache } from '../index/shard-cache.ts';
import type { CorruptMember, DataIndex } from '../index/types.ts';
import { drawCrop } from '../views/crop.ts';
import { type ImageArrays, patchArrays, squareArrays } from '../views/image-arrays.ts';
import { AlikeRows, AlikeSoFar, sameTokens } from './alike.ts';
import { BrokenShards } from './broken-shards.ts';
import { costOf, DecodedCache, type DecodedExample, decodedBytes } from './decoded-cache.ts';
import { drawnOf, shortened } from './described.ts';
import { type Draw, type Draws, openDraws } from './draws.ts';
import { KeptExamples } from './kept-examples.ts';
import { PartArrays } from './part-arrays.ts';
import { rowsOfPiece } from './row-bytes.ts';
import { ScoreReader } from './score-reader.ts';
import { failedStrip, joinedStrips, type MetBroken, type RowMaker, type Strip, type UntoldStrip } from './strip.ts';
import type { Batch, DescribedExample, Piece } from './types.ts';

const decodedAtOnce = 4;
const candidates = 64;
/** Of one place: in a language that fewer examples have there is nothing to train on. */
const mostFiltered = 10_000;
const corruptKept = 10_000;

/**
 * Makes batch k of a plan. Its bytes are a pure function of (index, plan, k); everything kept between calls only
 * saves time. Read errors are thrown; an example that can't be used is replaced by a draw of its own (k, attempt),
 * which moves no other example.
 */
export class BatchMaker {
  readonly #index: DataIndex;
  readonly #plan: BatchPlan;
  readonly #steps: PhaseSteps;
  readonly #shards: ShardCache;
  readonly #draws: Draws;
  readonly #scores: ScoreReader | null;
  readonly #regions: RegionReader | null;
  readonly #kept: KeptExamples | null;
  readonly #decoded: DecodedCache;
  readonly #corrupt = new Map<string, { readonly corrupt: CorruptMember; readonly isRead: boolean }>();
  readonly #broken: BrokenShards;
  #loaded: TextTokenizer | null = null;
  readonly #rowsBy: RowMaker | null;

  /**
   * `scores`: what the plan's part teacherScores reads from. `rowsBy`: makes the rows elsewhere, and several at a time.
   * `sharers`: threads that keep decoded pictures, each a part of what one would.
   */
  constructor(
    index: DataIndex,
    plan: BatchPlan,
    shards: ShardCache,
    scores: ScoreIndex | null = null,
    rowsBy: RowMaker | null = null,
    sharers = 1,
  ) {
    this.#decoded = new DecodedCache(Math.floor(decodedBytes / sharers));
    this.#rowsBy = rowsBy;
    this.#index = index;
    this.#plan = plan;
    this.#steps = new PhaseSteps(plan);
    this.#shards = shards;
    this.#broken = new BrokenShards(index, plan.data);
    this.#scores = scores && new ScoreReader(scores, index, shards);
    this.#draws = openDraws(index, plan, shards, this.#scores);
    this.#kept = index.weights ? new KeptExamples(index, plan.seed, shards) : null;
    this.#regions = index.regions ? new RegionReader(index, (file, range) => shards.read(file, range)) : null;
  }

  /** Loaded when it is first needed: that takes a second, and threads that make rows mostly do without. */
  get #tokenizer(): TextTokenizer {
    const { vocabulary } = this.#plan;
    this.#loaded ??= vocabulary ? compacted(loadTokenizer(), vocabulary) : loadTokenizer();
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

  #tokenised({ untold, ...strip }: UntoldStrip, count: number): Strip {
    if (strip.failure) return { ...strip, same: { ...untold.same, tokens: null }, tokens: new Int32Array(0) };
    const tokens = this.#tokenizer.tokenize(untold.texts, this.#plan.textLength);
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
          const filled = await this.#fill(first + i, images, parts, i, own);
          const { pixels, meta, text, language, source } = filled;
          alike.add(pixels, meta);
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

  /** Writes the image and the parts of example k to place `i` of the batch; gives what it is, and the text that it has. */
  async #fill(k: number, images: ImageArrays, parts: PartArrays, i: number, { skipped, broken }: Met): Promise<Filled> {
    const { seed, phase } = this.#plan;
    let filtered = 0;
    for (let attempt = 0; attempt - filtered < candidates && filtered < mostFiltered; attempt++) {
      const draw = await this.#draws.draw(k, attempt);
      const { ref, shard, entry, data, source } = draw;
      if (this.#kept && !(await this.#kept.keeps(ref))) {
        filtered++;
        continue;
      }
      const name = `${source ?? ''} ${shard.key}/${entry.name}`;
      const known = this.#corrupt.get(name);
      if (known) {
        skipped.push(known.corrupt);
        if (!known.isRead) broken.push({ ref, corrupt: known.corrupt });
        continue;
      }
      let isRead = false;
      try {
        const { pixels, meta } = await this.#example(draw);
        isRead = true;
        const caption = chooseCaption(meta, data, randomStream(seed, `caption/${phase}`, k));
        const crop = drawCrop(pixels, data.augment, randomStream(seed, `crop/${phase}`, k));
        images.fill(i, pixels, crop);
        const tokenizer = () => this.#tokenizer;
        const example = { k, ref, pixels, meta, crop, ...caption, scores: this.#scores };
        await parts.fill(i, {
          ...example,
          get tokenizer() {
            return tokenizer();
          },
        });
        const { text, language } = caption;
        return {
          pixels,
          meta,
          metaBytes: entry.meta.size,
          text,
          language,
          source: source ?? meta.source ?? null,
          filtered,
        };
      } catch (error) {
        if (error instanceof FilteredExample) {
          filtered++;
          continue;
        }
        if (!(error instanceof CorruptExample)) throw error;
        const corrupt = { shard: shard.key, name: entry.name, reason: error.message };
        this.#remember(name, { corrupt, isRead });
        skipped.push(corrupt);
        // One that has no text in a language of the recipe is whole.
        if (!isRead) broken.push({ ref, corrupt });
      }
    }
    if (filtered === mostFiltered)
      throw new RunnerError(
        'DataContract',
        `data: of ${mostFiltered} examples drawn one after the other below ${this.#index.prefix} none ${this.#kept ? 'is left by the filter, with' : 'has'} a text in a language that is drawn there; npm run siglip2 -- data look says which they have`,
      );
    const last = skipped.at(-1);
    throw new RunnerError(
      'DataContract',
      `data: ${candidates} examples drawn one after the other below ${this.#index.prefix} can't be used, the last because: ${last?.reason} (${last?.shard}, ${last?.name})`,
    );
  }

  /** Not without end: what was forgotten is found out again. */
  #remember(key: string, met: { readonly corrupt: CorruptMember; readonly isRead: boolean }): void {
    this.#corrupt.set(key, met);
    if (this.#corrupt.size > corruptKept) this.#corrupt.delete(this.#corrupt.keys().next().value!);
  }

  async #example({ shard, entry, read: mapping, source, data, without }: Draw): Promise<DecodedExample> {
    const key = `${source ?? ''} ${shard.key}/${entry.image.offset}`;
    const seen = (whole: ExampleMeta): ExampleMeta => {
      if (!this.#draws.filters) return whole;
      const meta = without ? speakingWithout(whole, without) : whole;
      if (speaksAny(meta, data.captions)) return meta;
      throw new FilteredExample();
    };
    const known = this.#decoded.get(key);
    if (known) return { ...known, meta: seen(known.meta) };
    checkSizes(entry, mapping);
    const read = async (from: 'read' | 'readRemote') => {
      const own = await readMeta(entry, mapping, (range) => this.#shards[from](shard, range));
      // No picture is decoded for nothing.
      seen(own);
      const meta = this.#regions ? await this.#regions.join(shard.key, entry.name, own) : own;
      const pixels = await decodeInTurn(await this.#shards[from](shard, entry.image));
      return { meta, pixels, metaBytes: entry.meta.size };
    };
    let example: DecodedExample;
    try {
      example = await read('read');
    } catch (error) {
      if (!(error instanceof CorruptExample)) throw error;
      // A bad disk must not change what is trained on: only what the store itself holds can be corrupt.
      example = await read('readRemote');
    }
    // Of a set that is larger than what is kept none would be there when it comes again.
    if (this.#index.examples * costOf(example) <= decodedBytes) this.#decoded.set(key, example);
    return { ...example, meta: seen(example.meta) };
  }
}

/** What was met on the way to the example of a row. */
interface Met {
  readonly skipped: CorruptMember[];
  readonly broken: MetBroken[];
  failure: RunnerError | null;
}

/** It is whole, and has no text in the languages that are drawn. */
class FilteredExample extends Error {}

interface Filled extends DecodedExample, Pick<Caption, 'text' | 'language'> {
  readonly source: string | null;
  /** Examples that were passed over before it was found. */
  readonly filtered: number;
}
