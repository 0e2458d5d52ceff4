import type { Frequency } from '../../metrics/detection.ts';
import type { TrueBox } from '../../metrics/detection-match.ts';
import { counted } from '../../runtime/count-text.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { PartExample } from '../features/part-file.ts';
import type { Lesson } from './batch.ts';

/** How boxes are annotated and counted: every category in every picture, or those that were looked for (LVIS). */
export type Rules = 'coco' | 'lvis';
/** Where boxes stand: as `objects`, or as `regions` whose captions are the categories. */
export type BoxesIn = 'objects' | 'regions';

interface Thing {
  readonly category: string;
  /** [top, left, bottom, right] in shares of the image. */
  readonly box: readonly [number, number, number, number];
  readonly area?: number;
  readonly crowd?: boolean;
}

/** LVIS's bins, by pictures of training that have the category. */
const [rareBelow, commonBelow] = [10, 100];
const shown = 3;

/** Categories by number and name, and what examples say of them. */
export class Categories {
  readonly names: readonly string[];
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #where: BoxesIn;
  readonly #unknown = new Map<string, number>();

  constructor(names: readonly string[], where: BoxesIn) {
    this.names = names;
    this.#numbers = new Map(names.map((name, number) => [name, number]));
    this.#where = where;
  }

  #things({ truth }: PartExample): readonly Thing[] {
    if (this.#where === 'objects') return truth?.objects ?? [];
    return (truth?.regions ?? []).map(({ caption, box }) => ({ category: caption, box }));
  }

  /** Those that there are, of a list of names. */
  #known(names: readonly string[] = []): number[] {
    return names.flatMap((name) => this.#numbers.get(name) ?? []);
  }

  /** By pictures of a set that have each. */
  frequencies({ examples }: FeatureSet): Frequency[] {
    const pictures = new Uint32Array(this.names.length);
    for (const example of examples)
      for (const category of new Set(this.#known(this.#things(example).map((one) => one.category))))
        pictures[category]!++;
    return [...pictures].map((count) => (count < rareBelow ? 'r' : count < commonBelow ? 'c' : 'f'));
  }

  /** What is learned from an example, without the categories that are withheld; null: nothing. */
  lesson(example: PartExample, rules: Rules, withheld: ReadonlySet<number>): Lesson | null {
    const taught = this.#things(example).flatMap(({ category, box, crowd }) => {
      const number = this.#numbers.get(category);
      // A crowd is no one thing that a box could be learned from.
      return number === undefined || withheld.has(number) || crowd ? [] : [{ number, box }];
    });
    const categories = taught.map(({ number }) => number);
    const boxes = new Float32Array(4 * taught.length);
    for (const [i, { box }] of taught.entries()) {
      const [top, left, bottom, right] = box;
      boxes.set([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], 4 * i);
    }
    const { absent, partial } = example.truth ?? {};
    const among =
      rules === 'coco' ? this.names.map((_, number) => number) : [...new Set([...categories, ...this.#known(absent)])];
    const lookedFor = among.filter((number) => !withheld.has(number));
    if (lookedFor.length === 0) return null;
    const all = rules === 'coco' && withheld.size === 0;
    return {
      targets: { categories, boxes },
      ...(!all && { lookedFor: new Set(lookedFor) }),
      ...(rules === 'lvis' && { partial: new Set(this.#known(partial)) }),
    };
  }

  /** What is there in an example of the test set, in pixels. */
  image(example: PartExample) {
    const [width, height] = example.size ?? [0, 0];
    const truths = this.#things(example).flatMap(
      ({ category, box: [top, left, bottom, right], area, crowd }): TrueBox[] => {
        const number = this.#numbers.get(category);
        if (number === undefined) {
          this.#unknown.set(category, (this.#unknown.get(category) ?? 0) + 1);
          return [];
        }
        const box = [left * width, top * height, (right - left) * width, (bottom - top) * height] as const;
        return [{ category: number, box, area: area ?? box[2] * box[3], ...(crowd && { crowd }) }];
      },
    );
    const { absent, partial } = example.truth ?? {};
    return { name: example.name, truths, negative: this.#known(absent), notExhaustive: this.#known(partial) };
  }

  /** What was left out of the test set, for want of a name. */
  notes(): string[] {
    if (this.#unknown.size === 0) return [];
    const boxes = [...this.#unknown.values()].reduce((sum, count) => sum + count, 0);
    const some = [...this.#unknown.keys()].slice(0, shown).map((name) => JSON.stringify(name.slice(0, 60)));
    return [
      `${counted(boxes, 'box', 'boxes')} of ${counted(this.#unknown.size, 'category', 'categories')} that classes.names does not have, such as ${some.join(', ')}: left out`,
    ];
  }
}
