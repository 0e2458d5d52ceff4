import type { ExampleMeta } from '../data/example/types.ts';

/** The concepts of a data set, numbered as they appear, and what each is called: the first caption of a language. */
export class Labels {
  readonly #numbers = new Map<string, number>();
  readonly #labels: Map<string, Map<number, string>>;

  constructor(languages: readonly string[]) {
    this.#labels = new Map(languages.map((language) => [language, new Map()]));
  }

  /** Number of the example's concept. Of several examples of one concept the first that has a label names it. */
  add({ concept, captions }: Pick<ExampleMeta, 'concept' | 'captions'>): number {
    let number = this.#numbers.get(concept);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(concept, number);
    }
    for (const [language, labels] of this.#labels) {
      const label = Object.hasOwn(captions, language) ? captions[language]?.[0] : undefined;
      if (label !== undefined && !labels.has(number)) labels.set(number, label);
    }
    return number;
  }

  get languages(): string[] {
    return [...this.#labels.keys()];
  }

  /** Labels of a language and the concepts that they name, in order of the concepts. */
  in(language: string): { readonly texts: string[]; readonly concepts: Int32Array } {
    const sorted = [...(this.#labels.get(language) ?? [])].sort(([a], [b]) => a - b);
    return { texts: sorted.map(([, text]) => text), concepts: Int32Array.from(sorted, ([number]) => number) };
  }
}
