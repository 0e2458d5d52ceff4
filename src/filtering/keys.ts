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
  /** Cosines of picture and text of shard n: they stay, for a filter of the same model and data with another bound. */
  cosines(n: number): string;
  /** With how many threads they are made. */
  readonly cpu: string;
  /** What all cosines come to. */
  readonly bound: string;
  /** Embeddings of the pictures of shard n, and those that clusters are learned from. */
  rows(n: number): string;
  sample(n: number): string;
  readonly centroids: string;
  readonly embeddings: CompareKeys & SettledKeys;
  /** What texts of shard n say of groups and labels; where balancing stands, and what it came to; biases of shard n. */
  attributes(n: number): string;
  readonly balancing: string;
  readonly balanced: string;
  biases(n: number): string;
}

interface SettledKeys {
  /** That partition k is done. */
  compared(k: number): string;
  /** That all are settled. */
  readonly settled: string;
}

export const filterPrefix = (name: string): string => `filters/${name}/`;
/** Who holds the checkpoint of a filter, as its pin names it. */
export const holderOf = (name: string): string => `filter-${name}`;

const contentPattern = /^filters\/[^/]+\/[0-9a-f]{16}\/work\//;

/** Whether a key below the prefix of a filter is what workers hand to one another. */
export const isWorkKey = (key: string): boolean => contentPattern.test(key);

/** `embedding`: hash of model and data, where the filter has one. */
export function filterKeys(name: string, filter: string, embedding = 'none'): FilterKeys {
  const root = `${filterPrefix(name)}${filter.slice(0, 16)}/`;
  const work = `${root}work/`;
  const padded = (n: number) => String(n).padStart(8, '0');
  const of = (folder: string, ending: string) => (n: number) => `${work}${folder}/${padded(n)}.${ending}`;
  const cosines = `${filterPrefix(name)}cosines/${embedding.slice(0, 16)}/`;
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
    weights: (n) => `${root}${padded(n)}.weights`,
    work,
    looked: of('looked', 'bin'),
    pictures: compared('pictures'),
    cosines: (n) => `${cosines}${padded(n)}.bin`,
    cpu: `${cosines}cpu.json`,
    bound: `${work}bound.json`,
    rows: of('rows', 'bin'),
    sample: of('sample', 'bin'),
    centroids: `${work}centroids.bin`,
    embeddings: compared('embeddings'),
    attributes: of('attributes', 'json'),
    balancing: `${work}balancing.json`,
    balanced: `${work}balanced.json`,
    biases: of('biases', 'json'),
  };
}
