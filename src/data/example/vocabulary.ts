import { readFileSync } from 'node:fs';

/** What the library's model of byte pairs is made of. */
export interface BytePairs {
  tokens_to_ids: ReadonlyMap<string, number>;
  vocab: readonly string[];
  unk_token_id: number;
  /** Ranks by the JSON of a pair. */
  bpe_ranks: ReadonlyMap<string, number>;
}

export interface Vocabulary<Definition> {
  /** The definition of the tokenizer, of whose vocabulary and merges nothing is left. */
  readonly definition: Definition;
  readonly ids: ReadonlyMap<string, number>;
  /** By id. */
  readonly tokens: readonly string[];
}

/**
 * Reads Gemma's tokenizer.json, which ends in the vocabulary and the merges, without making an object of 256,000 fields
 * and an array of 580,000 pairs: nine tenths of the time of loading. Merges are not read (`MergeRanks`).
 */
export function readVocabulary<Definition>(file: string): Vocabulary<Definition> {
  const bytes = readFileSync(file);
  const [from, to] = [bytes.indexOf('"vocab": {') + '"vocab": '.length, bytes.indexOf('"merges": [')];
  const listed = bytes.subarray(from, to).toString('utf8');
  const body = listed.slice(1, listed.lastIndexOf('}'));
  // Raw JSON has no line break within a string, so a number before one is never a part of a token.
  const list = JSON.parse(`[${body.replaceAll(/": (?=\d+,?\n)/g, '",')}]`) as (string | number)[];
  const ids = new Map<string, number>();
  const tokens = new Array<string>(list.length / 2);
  for (let i = 0; i < list.length; i += 2) {
    const [token, id] = [list[i] as string, list[i + 1] as number];
    ids.set(token, id);
    tokens[id] = token;
  }
  const definition = JSON.parse(`${bytes.subarray(0, from).toString('utf8')}{}, "merges": []}}`) as Definition;
  return { definition, ids, tokens };
}

/** Tokens that Gemma's SentencePiece model was given by its users are merged before those that it learned. */
const isGiven = (id: number) => id < 474 || id >= 255_968;
const most = 2 ** 18;

/**
 * Ranks of Gemma's merges, from the vocabulary alone. The file lists every way of cutting a token into two tokens, by the id
 * of the whole and then by that of the left part; a rank says the same order in other numbers. A test holds all 580,604
 * to it. As a map of pairs they would be a second of each process and thread, and 40 MB.
 */
export class MergeRanks extends Map<string, number> {
  readonly #ids: ReadonlyMap<string, number>;

  constructor(ids: ReadonlyMap<string, number>) {
    super();
    this.#ids = ids;
  }

  override get(pair: string): number | undefined {
    const [left, right] = JSON.parse(pair) as [string, string];
    const whole = this.#ids.get(left + right);
    const first = this.#ids.get(left);
    if (whole === undefined || first === undefined || !this.#ids.has(right)) return undefined;
    return (isGiven(whole) ? whole : most + whole) * most + first;
  }
}
