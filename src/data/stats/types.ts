import type { ExampleMeta } from '../example/types.ts';
import type { ReasonCount } from '../index/reason-counts.ts';
import type { CorruptMember } from '../index/types.ts';
import type { Outline } from '../near/near.ts';
import type { Repeated } from './repeats.ts';
import type { Spread } from './spread.ts';

/** What is told of an example that can be used. */
export interface LookedAt {
  readonly format: string;
  /** Of the file of the picture, and the sha256 of them in hexadecimal. */
  readonly bytes: number;
  readonly hash: string;
  readonly outline: Outline;
  readonly width: number;
  readonly height: number;
  readonly meta: ExampleMeta;
}

export interface StatsOfExamples {
  /** That can be used. */
  readonly examples: number;
  readonly formats: Readonly<Record<string, number>>;
  /** Of the files of pictures. */
  readonly bytes: Spread | null;
  readonly width: Spread | null;
  readonly height: Spread | null;
  /** Width by height. */
  readonly aspects: Readonly<Record<string, number>>;
  /** Examples that have a text in a language. */
  readonly languages: Readonly<Record<string, number>>;
  readonly sources: Readonly<Record<string, number>>;
  readonly textsOfExample: Spread | null;
  /** Texts that were tokenised: up to 100 of an example. */
  readonly texts: number;
  /** Of a text, its end among them; what is longer than 64 is counted as 65. */
  readonly tokens: Spread | null;
  /** Texts that are cut by a model of this length. */
  readonly cutAt: Readonly<Record<string, number>>;
  readonly regions: { readonly examples: number; readonly regions: number };
  /** Byte for byte. */
  readonly copies: Repeated;
  /** In other sizes or qualities, copies byte for byte among them: of the first pictures that were looked at. */
  readonly nearCopies: { readonly compared: number; readonly copies: number; readonly all: boolean };
  readonly broken: { readonly members: number; readonly reasons: readonly ReasonCount[] };
  /** Up to 10,000 of those. */
  readonly list: readonly CorruptMember[];
}
