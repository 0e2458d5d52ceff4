import pMap from 'p-map';
import type { BatchPlan } from '../../recipe/batch-plan.ts';
import type { DataSettings } from '../../recipe/schema.ts';
import { randomStream } from '../../runtime/random.ts';
import type { RemoteShard } from '../index/part-reader.ts';
import type { ShardCache } from '../index/shard-cache.ts';
import type { DataIndex, ExampleEntry, Mapping } from '../index/types.ts';
import { ExampleOrder, type ExampleRef, entryOf } from './order.ts';
import { type DrawnExample, PhaseOrder } from './phase-order.ts';
import { RangeFiles } from './range-files.ts';
import type { RangeRef } from './ranges.ts';
import type { ScoreReader } from './score-reader.ts';

/** An example that was drawn, and where its bytes are. */
export interface Draw {
  readonly ref: ExampleRef;
  readonly shard: RemoteShard;
  readonly entry: ExampleEntry;
  /** How it is read; absent: the JSON of this project. */
  readonly read: Mapping | undefined;
  /** What it is made by. */
  readonly data: DataSettings;
  /** Of a mixture. */
  readonly source: string | null;
  /** Languages that it counts as having no texts of. */
  readonly without?: ReadonlySet<string> | undefined;
}

/** Which example stands at each place of a phase. Everything is a pure function of (index, plan, k, attempt). */
export interface Draws {
  /** Whether an example without a text in a language of the recipe is passed over, rather than counted as broken. */
  readonly filters: boolean;
  /** Example k of the phase; from attempt 1 on what takes its place, when it and those before can't be used. */
  draw(k: number, attempt: number): Promise<Draw>;
  /** Brings what example k and its successors need to disk. */
  fetchAhead(k: number): Promise<void>;
  /** How often the examples of each source of a mixture were drawn before example k. */
  epochsAt(k: number): Readonly<Record<string, number>> | undefined;
}

/** By the order that the recipe asks for. */
export function openDraws(index: DataIndex, plan: BatchPlan, shards: ShardCache, scores: ScoreReader | null): Draws {
  const { shuffle, mixture } = plan.data;
  // What a filter leaves out is passed over, which costs no shard in this order alone.
  const isNew = shuffle !== undefined || mixture !== undefined || index.weights !== undefined;
  return isNew ? new RangeDraws(index, plan, shards, scores) : new ShardDraws(index, plan, shards, scores);
}

/** As recipes of before have it: blocks of whole shards, and replacements from anywhere. */
class ShardDraws implements Draws {
  readonly filters = false;
  readonly #index: DataIndex;
  readonly #plan: BatchPlan;
  readonly #shards: ShardCache;
  readonly #scores: ScoreReader | null;
  readonly #order: ExampleOrder;

  constructor(index: DataIndex, plan: BatchPlan, shards: ShardCache, scores: ScoreReader | null) {
    this.#index = index;
    this.#plan = plan;
    this.#shards = shards;
    this.#scores = scores;
    this.#order = new ExampleOrder(index, plan.seed, plan.phase);
  }

  async draw(k: number, attempt: number): Promise<Draw> {
    const ref = attempt === 0 ? this.#order.at(k) : this.#replacement(k, attempt);
    const { shard, entry } = await entryOf(this.#index, ref);
    return { ref, shard, entry, read: this.#index.read, data: this.#plan.data, source: null };
  }

  async fetchAhead(k: number): Promise<void> {
    const fetch = async (shard: number) => {
      await this.#shards.ensure(this.#index.shards[shard]!);
      if (this.#scores) await this.#shards.ensure(this.#scores.fileOf({ shard }));
      const regions = this.#index.regions?.[shard];
      if (regions) await this.#shards.ensure(regions);
    };
    await pMap(this.#order.shardsNear(k), fetch, { concurrency: 2 });
  }

  epochsAt(): undefined {}

  #replacement(k: number, attempt: number): ExampleRef {
    const random = randomStream(this.#plan.seed, `replacement/${this.#plan.phase}`, k, attempt);
    let number = random.below(this.#index.examples);
    for (const [shard, { examples }] of this.#index.shards.entries()) {
      if (number < examples) return { shard, example: number };
      number -= examples;
    }
    throw new RangeError('unreachable: the index counts the examples of its shards');
  }
}

/** Ranges that are fetched at once: each is some megabytes, and the way to the store is long. */
const fetchedAtOnce = 8;
/** When there was no room for all that comes next. */
const lookAgainMs = 60_000;

/** Blocks of ranges of all shards, sources by weight, and replacements from the same block. */
class RangeDraws implements Draws {
  readonly filters = true;
  readonly #index: DataIndex;
  readonly #shards: ShardCache;
  readonly #scores: ScoreReader | null;
  readonly #order: PhaseOrder;
  readonly #files: RangeFiles;
  /** How each source is read. */
  readonly #reads: readonly (Mapping | undefined)[];
  /** The blocks that are all on disk, with those after them as far as there is room. */
  #there = '';
  #lookAgain = Number.POSITIVE_INFINITY;

  constructor(index: DataIndex, { data, seed, phase }: BatchPlan, shards: ShardCache, scores: ScoreReader | null) {
    const all = [{ first: 0, shards: index.shards.length, read: index.read, spoken: undefined }];
    const sources = index.sources ?? all;
    this.#index = index;
    this.#shards = shards;
    this.#scores = scores;
    this.#files = new RangeFiles(index);
    this.#reads = sources.map(({ read }) => read);
    const own = sources.map(({ first, shards: count, spoken }) => ({
      first,
      ...(spoken && { spoken }),
      shards: index.shards.slice(first, first + count),
    }));
    this.#order = new PhaseOrder(own, data, seed, phase);
  }

  async draw(k: number, attempt: number): Promise<Draw> {
    const drawn = attempt === 0 ? this.#order.at(k) : this.#order.replacement(k, attempt);
    const { shard, entries, numbers, rows } = await this.#files.of(drawn.range);
    const at = drawn.example - drawn.range.first;
    const ref = { shard: drawn.shard, example: numbers[at]!, range: rows };
    return { ref, shard, entry: entries[at]!, read: this.#reads[drawn.stream.source], ...ofStream(drawn) };
  }

  async fetchAhead(k: number): Promise<void> {
    const blocks = this.#order.blocksAt(k).join();
    if (blocks === this.#there && performance.now() < this.#lookAgain) return this.#shards.renew();
    const near = this.#order.streams.map((_, stream) => this.#order.near(k, stream));
    const now = near.flatMap(({ now }) => now);
    const next = near.flatMap(({ next }) => next);
    const held: RemoteShard[] = [];
    // What the block before was read from is in the way of this one. A loader that begins has none, and does not wait.
    if (this.#there !== '')
      await this.#shards.hold(
        (await pMap(now, (range) => this.#filesOf(range), { concurrency: fetchedAtOnce })).flat(),
        [],
      );
    // What is needed next of every source comes before what is needed later of any.
    await pMap(
      now,
      async (range) => {
        for (const file of await this.#filesOf(range)) {
          await this.#shards.ensure(file);
          held.push(file);
        }
      },
      { concurrency: fetchedAtOnce },
    );
    await this.#shards.hold(held, []);
    const later: RemoteShard[] = [];
    const fetchLater = async (range: RangeRef) => {
      for (const file of await this.#filesOf(range)) {
        if (!(await this.#shards.ensureIfRoom(file))) return false;
        later.push(file);
      }
      return true;
    };
    const fit = await pMap(next, fetchLater, { concurrency: fetchedAtOnce });
    await this.#shards.hold(held, later);
    this.#there = blocks;
    // Others may need less after a while.
    this.#lookAgain = fit.every(Boolean) ? Number.POSITIVE_INFINITY : performance.now() + lookAgainMs;
  }

  /** All that a range is read from. */
  async #filesOf(range: RangeRef): Promise<RemoteShard[]> {
    const { shard, rows } = await this.#files.of(range);
    const scores = this.#scores?.fileOf({ shard: range.shard, range: rows });
    const beside = [scores, this.#index.regions?.[range.shard], this.#index.weights?.[range.shard]];
    return [shard, ...beside.flatMap((file) => file ?? [])];
  }

  epochsAt(k: number): Readonly<Record<string, number>> | undefined {
    return this.#index.sources && this.#order.epochsAt(k);
  }
}

const ofStream = ({ stream: { data, name, without } }: DrawnExample) => ({ data, source: name, without });
