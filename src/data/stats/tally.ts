import { loadTokenizer } from '../example/tokenizer.ts';
import { ReasonCounts } from '../index/reason-counts.ts';
import { SkippedMembers } from '../index/skipped-members.ts';
import type { CorruptMember } from '../index/types.ts';
import { Counts } from './counts.ts';
import { NearCopies } from './near-copies.ts';
import { Repeats } from './repeats.ts';
import { type ShownPicture, ShownPictures } from './shown-pictures.ts';
import { Numbers } from './spread.ts';
import type { LookedAt, StatsOfExamples } from './types.ts';

/** Tokens of the longest text of a model, its end among them (spec: 64). */
const mostTokens = 64;
const shorterLengths = [16, 24, 32, mostTokens] as const;
/** Texts of an example that are tokenised: a member of a megabyte may hold very many. */
const textsOfExample = 100;

/** Adds up what examples are, in memory that does not grow with them. */
export class Tally {
  readonly shown: ShownPictures;
  readonly #formats = new Counts();
  readonly #aspects = new Counts();
  readonly #languages = new Counts();
  readonly #sources = new Counts();
  readonly #bytes = new Numbers();
  readonly #widths = new Numbers();
  readonly #heights = new Numbers();
  readonly #texts = new Numbers();
  readonly #tokens = new Numbers();
  readonly #repeats = new Repeats();
  readonly #near = new NearCopies();
  readonly #reasons = new ReasonCounts();
  readonly #list = new SkippedMembers();
  #regions = { examples: 0, regions: 0 };

  constructor(pictures = 0) {
    this.shown = new ShownPictures(pictures);
  }

  add({ format, bytes, hash, outline, width, height, meta }: LookedAt): void {
    this.#formats.add(format);
    this.#bytes.add(bytes);
    this.#widths.add(width);
    this.#heights.add(height);
    this.#aspects.add(aspectOf(width / height));
    this.#repeats.add(hash);
    this.#near.add(outline);
    if (meta.source !== undefined) this.#sources.add(meta.source);
    if (meta.regions) {
      this.#regions.examples++;
      this.#regions.regions += meta.regions.length;
    }
    const texts = Object.entries(meta.captions).flatMap(([language, own]) => {
      this.#languages.add(language);
      return own;
    });
    this.#texts.add(texts.length);
    const tokenizer = loadTokenizer();
    for (const text of texts.slice(0, textsOfExample)) this.#tokens.add(tokenizer.ids(text, mostTokens).length + 1);
  }

  show(picture: ShownPicture): void {
    this.shown.add(picture);
  }

  refuse(member: CorruptMember): void {
    this.#reasons.add(member);
    this.#list.add([member]);
  }

  get stats(): StatsOfExamples {
    return {
      examples: this.#widths.count,
      formats: this.#formats.all,
      bytes: this.#bytes.spread,
      width: this.#widths.spread,
      height: this.#heights.spread,
      aspects: this.#aspects.all,
      languages: this.#languages.all,
      sources: this.#sources.all,
      textsOfExample: this.#texts.spread,
      tokens: this.#tokens.spread,
      texts: this.#tokens.count,
      cutAt: Object.fromEntries(shorterLengths.map((length) => [length, this.#tokens.from(length + 1)])),
      regions: this.#regions,
      copies: this.#repeats.found,
      nearCopies: { compared: this.#near.compared, copies: this.#near.copies, all: !this.#near.isFull },
      broken: { members: this.#reasons.members, reasons: this.#reasons.list },
      list: this.#list.list,
    };
  }
}

/** Width by height. */
function aspectOf(ratio: number): string {
  if (ratio < 1 / 2) return 'under 1:2';
  if (ratio < 3 / 4) return '1:2 to 3:4';
  if (ratio <= 4 / 3) return '3:4 to 4:3';
  return ratio <= 2 ? '4:3 to 2:1' : 'over 2:1';
}
