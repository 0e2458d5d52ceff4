import { InvalidArgumentError } from 'commander';

/** A number above 0 of a command line. */
export function above(text: string): number {
  const number = Number(text);
  if (number > 0 && number < Number.POSITIVE_INFINITY) return number;
  throw new InvalidArgumentError(`${text} is no number above 0.`);
}

/** A whole number from 1. */
export function whole(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new InvalidArgumentError(`${text} is no whole number from 1.`);
}

/** A number from 0 to 1. */
export function share(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && number >= 0 && number <= 1) return number;
  throw new InvalidArgumentError(`${text} is no number from 0 to 1.`);
}

/** One of these words. */
export const oneOf =
  (allowed: readonly string[]) =>
  (word: string): string => {
    if (allowed.includes(word)) return word;
    throw new InvalidArgumentError(`Allowed are ${allowed.join(', ')}, with commas between them.`);
  };

/** Several with commas between them, each once: doubles would be two runs of one name. */
export const list =
  <T>(one: (text: string) => T) =>
  (text: string): T[] => [...new Set(text.split(',').map(one))];
