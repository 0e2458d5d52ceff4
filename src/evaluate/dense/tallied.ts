import type { Metric } from '../../metrics/figure.ts';
import type { Figures, Found, Outcome } from '../evaluators/contract.ts';

/** A metric over pictures that remembers what each gave: (1 + 3 C) numbers of 8 bytes a picture, 7 MB of ADE20k's 2,000. */
export class Tallied<Answer> {
  readonly #metric: Metric<Answer>;
  readonly #sums: Float64Array[] = [];
  readonly #pictures: number[] = [];

  constructor(metric: Metric<Answer>) {
    this.#metric = metric;
  }

  add(picture: number, answer: Answer): void {
    const sums = new Float64Array(this.#metric.width);
    this.#metric.tally(answer, sums);
    this.#sums.push(sums);
    this.#pictures.push(picture);
  }

  get pictures(): Int32Array {
    return Int32Array.from(this.#pictures);
  }

  /** Of each picture. */
  get each(): readonly Float64Array[] {
    return this.#sums;
  }

  get total(): Float64Array {
    const total = new Float64Array(this.#metric.width);
    for (const sums of this.#sums) for (const [i, value] of sums.entries()) total[i]! += value;
    return total;
  }

  /** Those that there are; of nothing there is none. */
  get figures(): Figures {
    const found = this.#metric.figures(this.total);
    return Object.fromEntries(found.flatMap(({ name, value }) => (value === null ? [] : [[plain(name), value]])));
  }

  /** Figures of each picture alone, of which the figure of all is the mean. Pictures without truth have none. */
  get outcomes(): Found['outcomes'] {
    const lists = new Map<string, { values: number[]; pictures: number[] }>();
    for (const [i, sums] of this.#sums.entries())
      for (const { name, value, of } of this.#metric.figures(sums)) {
        if (value === null || of === 0) continue;
        const own = lists.get(plain(name)) ?? { values: [], pictures: [] };
        lists.set(plain(name), own);
        own.values.push(value);
        own.pictures.push(this.#pictures[i]!);
      }
    lists.delete('without_truth');
    return Object.fromEntries(
      [...lists].map(([name, { values, pictures }]): [string, Outcome] => [
        name,
        { values: Float32Array.from(values), pictures: Int32Array.from(pictures) },
      ]),
    );
  }
}

/** Dots part the names of a path. */
const plain = (name: string) => name.replaceAll('.', '_');
