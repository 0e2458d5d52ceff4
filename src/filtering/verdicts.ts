import { RunnerError } from '../runtime/errors.ts';

/** What becomes of an example: nothing yet, or one of the reasons, or it can't be used. */
export const remains = 0;
export const broken = 255;
const mostReasons = 254;

/** What is said of the examples of a shard, a byte each: number i + 1 is reason i. */
export class Verdicts {
  readonly reasons: string[];
  readonly codes: Uint8Array;

  constructor(examples: number, reasons: readonly string[] = [], codes = new Uint8Array(examples)) {
    this.reasons = [...reasons];
    this.codes = codes;
  }

  /** The first reason counts. */
  mask(example: number, reason: string): void {
    if (this.codes[example] === remains) this.codes[example] = this.#codeOf(reason);
  }

  isBroken(example: number): boolean {
    return this.codes[example] === broken;
  }

  break(example: number): void {
    this.codes[example] = broken;
  }

  remains(example: number): boolean {
    return this.codes[example] === remains;
  }

  /** Examples by reason, and those that can't be used. */
  get counts(): { readonly masked: Record<string, number>; readonly broken: number } {
    const counts = new Uint32Array(256);
    for (const code of this.codes) counts[code]!++;
    const masked = this.reasons.flatMap((reason, i) => (counts[i + 1]! > 0 ? [[reason, counts[i + 1]!] as const] : []));
    return { masked: Object.fromEntries(masked), broken: counts[broken]! };
  }

  /** The same verdicts are the same bytes, in whatever order they were given: the reasons as a line of JSON, and the codes. */
  encode(): Buffer {
    const reasons = [...this.reasons].sort();
    const codeOf = this.reasons.map((reason) => reasons.indexOf(reason) + 1);
    const codes = this.codes.map((code) => codeOf[code - 1] ?? code);
    return Buffer.concat([Buffer.from(`${JSON.stringify(reasons)}\n`), codes]);
  }

  static decode(bytes: Buffer): Verdicts {
    const end = bytes.indexOf(10);
    const codes = Uint8Array.from(bytes.subarray(end + 1));
    return new Verdicts(codes.length, JSON.parse(bytes.toString('utf8', 0, end)) as string[], codes);
  }

  #codeOf(reason: string): number {
    const known = this.reasons.indexOf(reason);
    if (known >= 0) return known + 1;
    if (this.reasons.length >= mostReasons)
      throw new RunnerError('RecipeInvalid', `a filter has more than ${mostReasons} reasons, the last "${reason}"`);
    return this.reasons.push(reason);
  }
}
