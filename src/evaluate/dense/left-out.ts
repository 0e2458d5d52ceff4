import { counted } from '../../runtime/count-text.ts';

/** Pictures whose truth can't be used: counted, and the first of them named with what is wrong. */
export class LeftOut {
  #first: { readonly name: string; readonly reason: string } | null = null;
  pictures = 0;

  add(name: string, reason: string): void {
    this.pictures++;
    this.#first ??= { name, reason };
  }

  /** A sentence, where there are any. `set`: such as "train: ". */
  notes(set = ''): string[] {
    if (!this.#first) return [];
    const { name, reason } = this.#first;
    return [
      `${set}${counted(this.pictures, 'picture')} left out, the first ${JSON.stringify(name.slice(0, 80))}: ${reason}`,
    ];
  }
}
