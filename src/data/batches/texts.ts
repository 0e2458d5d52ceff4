import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { AskedThread } from '../../runtime/asked-thread.ts';

/** Turns texts into (texts, L) ids. */
export interface Texts {
  tokenize(texts: readonly string[]): Int32Array | Promise<Int32Array>;
  close(): Promise<void>;
}

export interface TokenSettings {
  readonly vocabulary: readonly number[] | null;
  readonly length: number;
}

/**
 * In a thread of its own. The vocabulary is a million objects, and where pictures come and go as well a collector goes over
 * all of them every few hundred pictures: that took as long as the pictures.
 */
export function textsInThread({ vocabulary, textLength }: BatchPlan, note: (text: string) => void): Texts {
  const module = new URL('./token-thread.ts', import.meta.url).href;
  const settings: TokenSettings = { vocabulary, length: textLength };
  const thread = new AskedThread<TokenSettings, readonly string[], Int32Array>(
    { module, settings },
    { name: 'the thread of texts of the data loader', note },
  );
  return { tokenize: (texts) => thread.ask(texts), close: () => thread.close() };
}
