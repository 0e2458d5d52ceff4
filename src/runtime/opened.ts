interface Closable {
  close(): Promise<void>;
}

/** What was opened one after another, to be closed together, whatever comes between. */
export class Opened {
  readonly #open: Closable[] = [];

  /** What `opening` gives, which `close` closes. */
  async of<T extends Closable>(opening: T | Promise<T>): Promise<T> {
    const one = await opening;
    this.#open.push(one);
    return one;
  }

  async close(): Promise<void> {
    for (const one of this.#open) await one.close();
  }
}
