import type { DataSettings } from './schema.ts';

/** The prefixes under which training data lie. */
export const placesOf = (train: DataSettings['train']): readonly string[] =>
  typeof train === 'string' ? [train] : train;

/** Whether a prefix is another, or lies below it. */
export const isWithin = (place: string, other: string): boolean => `${place}/`.startsWith(`${other}/`);
