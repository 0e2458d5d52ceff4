import type { DataSettings } from '../../recipe/schema.ts';
import { dataOfSource } from '../../recipe/sources.ts';
import type { SpokenCounts } from '../index/types.ts';
import { BlockOrder, blockBytes, type Near, type PlacedExample } from './block-order.ts';
import { MixtureOrder } from './mixture-order.ts';
import type { OrderShard, RangeRef } from './ranges.ts';

/** Shards of an index that belong together: those of one source of a mixture, or all. */
export interface SourceShards {
  readonly shards: readonly OrderShard[];
  /** Number of the first in the index. */
  readonly first: number;
  /** How many examples of each shard have each language; absent: nobody has counted. */
  readonly spoken?: SpokenCounts;
}

/** Examples of one source that are drawn in one way. */
export interface Stream {
  /** Number and name of the source in the mixture; of data that are none 0 and null. */
  readonly source: number;
  readonly name: string | null;
  readonly weight: number;
  /** What its examples are made by. */
  readonly data: DataSettings;
  /** Examples that have it are drawn alone, where they are counted. */
  readonly language?: string;
  /** Languages that it has no texts of, whatever its examples have. */
  readonly without?: ReadonlySet<string>;
}

/** `example` is counted among those of its range: of a language without the others. */
export interface DrawnExample extends PlacedExample {
  readonly stream: Stream;
}

/** A language of a stream, where its draws are of one language; no name of a source has a slash. */
const streamName = ({ name }: Pick<Stream, 'name'>, language: string | null) =>
  language === null ? name : `${name}/${language}`;

const fewestExamples = 2000;
const fewestBytes = 16 * 2 ** 20;
const usualExamples = 50_000;

/** The streams that a phase draws from, with the weight of each. `examples`: of each source, for weights that go by size. */
export function streamsOf(data: DataSettings, examples: readonly number[]): (Stream & { readonly key: string })[] {
  const { mixture, mixtureAlpha = 1 } = data;
  if (!mixture) return [{ source: 0, name: null, weight: 1, data, key: '' }];
  return mixture.flatMap((source, number) => {
    const weight = source.weight ?? examples[number]! ** mixtureAlpha;
    const stream = { source: number, name: source.name, weight, data: dataOfSource(data, source) };
    if (!source.languages) return [{ ...stream, key: `/${streamName(stream, null)}` }];
    const sum = source.languages.reduce((total, { weight }) => total + weight, 0);
    const named = source.languages.map(({ language }) => language).filter((language) => language !== 'other');
    return source.languages.map(({ language, weight: share }) => ({
      ...stream,
      weight: (weight * share) / sum,
      data: { ...stream.data, captions: [{ language, weight: 1 }] },
      language,
      ...(language === 'other' && { without: new Set(named) }),
      key: `/${streamName(stream, language)}`,
    }));
  });
}

/**
 * Which examples a phase trains on: of every draw the source by weight, then the next example of it. A pure function of
 * (shards, settings, seed, phase, k).
 */
export class PhaseOrder {
  readonly streams: readonly Stream[];
  readonly #sources: readonly SourceShards[];
  /** Of each source. */
  readonly #examples: readonly number[];
  readonly #orders: readonly BlockOrder[];
  readonly #mixture: MixtureOrder | null;

  constructor(sources: readonly SourceShards[], data: DataSettings, seed: number, phase: string) {
    const examplesOf = ({ shards }: SourceShards) => shards.reduce((sum, { examples }) => sum + examples, 0);
    this.#examples = sources.map(examplesOf);
    const streams = streamsOf(data, this.#examples);
    const total = streams.reduce((sum, { weight }) => sum + weight, 0);
    const { examples = usualExamples } = data.shuffle ?? {};
    this.streams = streams;
    this.#sources = sources;
    this.#orders = streams.map(({ source, weight, key, language }) => {
      const share = weight / total;
      return new BlockOrder(speaking(sources[source]!, language), seed, `${phase}${key}`, {
        examples: Math.max(Math.ceil(examples * share), Math.min(examples, fewestExamples)),
        bytes: Math.max(Math.floor(blockBytes * share), fewestBytes),
      });
    });
    const weights = streams.map(({ weight }) => weight);
    this.#mixture = weights.length > 1 ? new MixtureOrder(weights, seed, phase) : null;
  }

  /** The k-th example of the phase, k >= 0. */
  at(k: number): DrawnExample {
    const { stream, draw } = this.#drawOf(k);
    return this.#drawn(stream, this.#orders[stream]!.at(draw));
  }

  /** What takes the place of the k-th example: another of the same block, draw number `attempt`. */
  replacement(k: number, attempt: number): DrawnExample {
    const { stream, draw } = this.#drawOf(k);
    return this.#drawn(stream, this.#orders[stream]!.replacement(draw, attempt));
  }

  /** Of each stream the number of the block that example k and its successors are drawn from. */
  blocksAt(k: number): readonly number[] {
    return this.#orders.map((order, stream) => order.blockOf(this.#before(k, stream)));
  }

  /** Ranges of a stream that are needed from example k on. */
  near(k: number, stream: number): Near {
    const { now, next } = this.#orders[stream]!.near(this.#before(k, stream));
    const inIndex = (range: RangeRef) => this.#inIndex(this.streams[stream]!, range);
    return { now: now.map(inIndex), next: next.map(inIndex) };
  }

  /** How many times the examples of each source were drawn before example k, by name. */
  epochsAt(k: number): Readonly<Record<string, number>> {
    const epochs: Record<string, number> = {};
    for (const [i, { name, source }] of this.streams.entries())
      if (name !== null) epochs[name] = (epochs[name] ?? 0) + this.#before(k, i) / this.#examples[source]!;
    return epochs;
  }

  #drawOf(k: number): { stream: number; draw: number } {
    if (!this.#mixture) return { stream: 0, draw: k };
    const { source, draw } = this.#mixture.at(k);
    return { stream: source, draw };
  }

  #before(k: number, stream: number): number {
    return this.#mixture ? this.#mixture.before(k, stream) : k;
  }

  #drawn(stream: number, { shard, example, range }: PlacedExample): DrawnExample {
    const of = this.streams[stream]!;
    const { first } = this.#sources[of.source]!;
    return { shard: shard + first, example, range: this.#inIndex(of, range), stream: of };
  }

  #inIndex({ source, language }: Stream, range: RangeRef): RangeRef {
    const { first, spoken } = this.#sources[source]!;
    const own = spoken && language !== undefined && { language };
    return { ...range, shard: range.shard + first, ...own };
  }
}

/** Shards as an order of one language knows them: as if they had nothing else. */
function speaking({ shards, spoken }: SourceShards, language: string | undefined): readonly OrderShard[] {
  const counts = language === undefined ? undefined : spoken?.counts[spoken.languages.indexOf(language)];
  if (!counts) return shards;
  return shards.map(({ examples, bytes }, i) => {
    return { examples: counts[i]!, bytes: examples === 0 ? 0 : Math.ceil((bytes * counts[i]!) / examples) };
  });
}
