import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { AskedThread } from '../../runtime/asked-thread.ts';
import { rowsOf } from '../example/compacted.ts';

/** Turns texts into (texts, L) ids, or rows of the compacted table. */
export type Texts = (texts: readonly string[]) => Promise<Int32Array>;

export interface AskedTexts {
  readonly texts: readonly string[];
  readonly length: number;
  readonly addedTokens?: readonly string[] | undefined;
}

let thread: AskedThread<null, AskedTexts, Int32Array> | null = null;
let told: (text: string) => void = () => {};

/**
 * In a thread of its own, which stays for the next loader in this one. The vocabulary is a million objects, and where pictures
 * come and go as well a collector goes over all of them every few hundred pictures: that took as long as the pictures.
 */
export function textsInThread(plan: BatchPlan, note: (text: string) => void): Texts {
  const { vocabulary, textLength, addedTokens } = plan;
  told = note;
  thread ??= new AskedThread<null, AskedTexts, Int32Array>(
    { module: new URL('./token-thread.ts', import.meta.url).href, settings: null },
    { name: 'the thread of texts of the data loader', note: (text) => told(text) },
  );
  const asked = thread;
  const rows = vocabulary && rowsOf(vocabulary);
  return async (texts) => {
    const ids = await asked.ask({ texts, length: textLength, addedTokens });
    return rows ? ids.map((id) => rows[id]!) : ids;
  };
}
