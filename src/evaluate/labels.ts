import type { ExampleMeta } from '../data/example/types.ts';

/** Texts of a language, and what each is about. */
export interface NamedTexts {
  readonly texts: readonly string[];
  /** Of each text the number of its field in the mapping, where that names several. */
  readonly fields?: readonly number[];
  readonly concepts: Int32Array;
}

interface Label {
  readonly text: string;
  readonly field: number | undefined;
}

/** The concepts of a data set, numbered as they appear, and what each is called: the first caption of a language. */
export class Labels {
  readonly #numbers = new Map<string, number>();
  readonly #labels: Map<string, Map<number, Label>>;

  constructor(languages: readonly string[]) {
    this.#labels = new Map(languages.map((language) => [language, new Map()]));
  }

  /** Number of the example's concept. Of several examples of one concept the first that has a label names it. */
  add({ concept, captions, fields }: Pick<ExampleMeta, 'concept' | 'captions' | 'fields'>): number {
    let number = this.#numbers.get(concept);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(concept, number);
    }
    for (const [language, labels] of this.#labels) {
      const text = Object.hasOwn(captions, language) ? captions[language]?.[0] : undefined;
      if (text !== undefined && !labels.has(number)) labels.set(number, { text, field: fields?.[language]?.[0] });
    }
    return number;
  }

  get languages(): string[] {
    return [...this.#labels.keys()];
  }

  /** Labels of a language and the concepts that they name, in order of the concepts. */
  in(language: string): NamedTexts {
    const sorted = [...(this.#labels.get(language) ?? [])].sort(([a], [b]) => a - b);
    const fields = sorted.flatMap(([, { field }]) => field ?? []);
    return {
      texts: sorted.map(([, { text }]) => text),
      ...(fields.length > 0 && { fields }),
      concepts: Int32Array.from(sorted, ([number]) => number),
    };
  }
}
