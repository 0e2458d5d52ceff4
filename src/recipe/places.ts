import type { DataSettings } from './schema.ts';

/** The prefixes under which training data lie. */
export const placesOf = (train: DataSettings['train']): readonly string[] =>
  typeof train === 'string' ? [train] : train;
