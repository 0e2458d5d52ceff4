/** A number for people, with commas: 12,345. */
export const number = (value: number): string => value.toLocaleString('en-US');

/** A count with what is counted: 1 shard, 12,345 shards. `many` where an s does not make it. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${number(count)} ${count === 1 ? one : many}`;

/** How many there are of a count: 1,024 of 12,345 shards. */
export const outOf = (some: number, count: number, one: string, many?: string): string =>
  `${number(some)} of ${counted(count, one, many)}`;
