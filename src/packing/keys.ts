/** Where a pack lies: shards and report below its prefix, and what workers hand to one another until it is done. */
export interface PackKeys {
  /** Everything but shards and report; ends in /. */
  readonly work: string;
  readonly settings: string;
  readonly listing: string;
  readonly resolved: string;
  readonly report: string;
  /** Of part n: its items, hashes, texts; which can be used; which of them go; whose texts come to it; what was packed. */
  part(n: number): string;
  hashes(n: number): string;
  texts(n: number): string;
  found(n: number): string;
  fates(n: number): string;
  joined(n: number): string;
  packed(n: number): string;
  /** Duplicates that partition k found. */
  edges(k: number): string;
  /** That partition k is done. */
  merged(k: number): string;
  shard(part: number, n: number): string;
}

export function packKeys(to: string): PackKeys {
  const work = `${to}/_pack/`;
  const of = (folder: string, ending: string) => (n: number) => `${work}${folder}/${padded(n)}.${ending}`;
  return {
    work,
    settings: `${work}settings.json`,
    listing: `${work}listing.json`,
    resolved: `${work}resolved.json`,
    report: `${to}/pack.json`,
    part: of('parts', 'json'),
    hashes: of('hashes', 'bin'),
    texts: of('texts', 'bin'),
    found: of('found', 'json'),
    fates: of('fates', 'bin'),
    joined: of('joined', 'bin'),
    packed: of('packed', 'json'),
    edges: of('edges', 'bin'),
    merged: of('merged', 'json'),
    shard: (part, n) => `${to}/pack-${padded(part)}-${String(n).padStart(2, '0')}.tar`,
  };
}

const padded = (n: number) => String(n).padStart(5, '0');
