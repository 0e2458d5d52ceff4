import { type RawMember, tarOf } from '../data/tar-file.ts';

export interface Planted {
  readonly image: Buffer | string;
  readonly texts: readonly string[];
  readonly language?: string;
  readonly source?: string;
}

/** A shard of our own JSON; its examples are named by their numbers. */
export function shardOf(examples: readonly Planted[]): Buffer {
  return tarOf(
    examples.flatMap(({ image, texts, language = 'en', source }, i): RawMember[] => [
      { name: `${i}.png`, body: image },
      { name: `${i}.json`, body: JSON.stringify({ captions: { [language]: texts }, source }) },
    ]),
  );
}
