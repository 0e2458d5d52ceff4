import type { CorruptMember, SkippedSummary } from './types.ts';

/** So many members are told apart, and so many bytes of their names and reasons kept: what a manifest may hold. */
const mostMembers = 10_000;
const mostBytes = 2 * 1024 * 1024;

/** Summaries go into reports of workflows, which have little room. */
const reasonsShown = 3;
const reasonBytes = 100;
const exampleBytes = 150;

/** Members of the data that were not used, each counted once, however often it was drawn. */
export class SkippedMembers {
  readonly #members = new Map<string, CorruptMember>();
  #bytes = 0;
  #isFull = false;

  constructor(before: Iterable<CorruptMember> = []) {
    this.add(before);
  }

  /** Gives those that were not known. */
  add(found: Iterable<CorruptMember>): CorruptMember[] {
    const added: CorruptMember[] = [];
    for (const { shard, name, reason } of found) {
      const key = `${shard}\0${name}`;
      if (this.#members.has(key)) continue;
      const bytes = Buffer.byteLength(key) + Buffer.byteLength(reason);
      this.#isFull ||= this.#members.size >= mostMembers || this.#bytes + bytes > mostBytes;
      if (this.#isFull) continue;
      const member = { shard, name, reason };
      this.#members.set(key, member);
      this.#bytes += bytes;
      added.push(member);
    }
    return added;
  }

  /** How many are known. */
  get size(): number {
    return this.#members.size;
  }

  /** In the order in which they were met. */
  get list(): CorruptMember[] {
    return [...this.#members.values()];
  }

  /** Null when there are none. */
  summary(): SkippedSummary | null {
    if (this.size === 0) return null;
    const kinds = new Map<string, { members: number; first: CorruptMember }>();
    for (const member of this.#members.values()) {
      const kind = kindOf(member.reason);
      const known = kinds.get(kind);
      if (known) known.members++;
      else kinds.set(kind, { members: 1, first: member });
    }
    const sorted = [...kinds].sort(([a, { members: m }], [b, { members: n }]) => n - m || (a < b ? -1 : 1));
    const reasons = sorted.slice(0, reasonsShown).map(([kind, { members, first }]) => {
      const { shard, name, reason } = first;
      const what = reason.startsWith(kind) ? reason.slice(kind.length).replace(/^: /, '') : reason;
      const example = `${tailOf(shard)} ${name}${what === '' ? '' : `: ${what}`}`;
      return { reason: within(kind, reasonBytes), members, example: within(example, exampleBytes) };
    });
    const others = sorted.slice(reasonsShown).reduce((sum, [, { members }]) => sum + members, 0);
    if (others > 0) reasons.push({ reason: 'other reasons', members: others, example: '' });
    return { members: this.size, ...(this.#isFull && { orMore: true as const }), reasons };
  }
}

/** What comes before a colon says what is wrong, what comes after it where, or how; numbers differ from one to the next. */
const kindOf = (reason: string) => reason.split(': ', 1)[0]!.replace(/\d+/g, '...');

/** The end of a long key: what tells shards apart. */
const tailOf = (key: string) => (key.length > 60 ? `...${key.slice(-57)}` : key);

/** A text that takes no more than so many bytes as JSON. */
function within(text: string, bytes: number): string {
  const sizeOf = (cut: string) => Buffer.byteLength(JSON.stringify(cut));
  if (sizeOf(text) <= bytes) return text;
  let end = Math.min(text.length, bytes);
  while (sizeOf(`${text.slice(0, end)}...`) > bytes) end--;
  return `${text.slice(0, end)}...`;
}
