import type { CompareKeys } from '../packing/compare.ts';

/** Where a filter of one content lies: weights and document stay, and `work` is what workers hand to one another. */
export interface FilterKeys {
  readonly root: string;
  /** The document of this very filter; `filters/NAME.json` is a copy of the newest one. */
  readonly document: string;
  /** Weights of the examples of data shard n. */
  weights(n: number): string;
  /** Ends in /. */
  readonly work: string;
  /** What was said of the examples of shard n before they were compared; it is there once its hashes are. */
  looked(n: number): string;
  readonly pictures: CompareKeys & SettledKeys;
}

interface SettledKeys {
  /** That partition k is done. */
  compared(k: number): string;
  /** That all are settled. */
  readonly settled: string;
}

export const filterPrefix = (name: string): string => `filters/${name}/`;
const contentPattern = /^filters\/[^/]+\/[0-9a-f]{16}\/work\//;

/** Whether a key below the prefix of a filter is what workers hand to one another. */
export const isWorkKey = (key: string): boolean => contentPattern.test(key);

export function filterKeys(name: string, filter: string): FilterKeys {
  const root = `${filterPrefix(name)}${filter.slice(0, 16)}/`;
  const work = `${root}work/`;
  const of = (folder: string, ending: string) => (n: number) =>
    `${work}${folder}/${String(n).padStart(8, '0')}.${ending}`;
  const compared = (folder: string) => ({
    hashes: of(`${folder}/hashes`, 'bin'),
    edges: of(`${folder}/edges`, 'bin'),
    compared: of(`${folder}/compared`, 'json'),
    fates: of(`${folder}/fates`, 'bin'),
    joined: of(`${folder}/joined`, 'bin'),
    settled: `${work}${folder}/settled.json`,
  });
  return {
    root,
    document: `${root}filter.json`,
    weights: (n) => `${root}${String(n).padStart(8, '0')}.weights`,
    work,
    looked: of('looked', 'bin'),
    pictures: compared('pictures'),
  };
}
