import { kindOf } from './skipped-members.ts';
import type { CorruptMember } from './types.ts';

/** Reasons may name what they are about; more kinds than this are one. */
const mostKinds = 50;

export interface ReasonCount {
  readonly reason: string;
  readonly members: number;
  /** The first of them. */
  readonly example: CorruptMember | null;
}

/** How many members can't be used for which reason: little memory, however many they are. */
export class ReasonCounts {
  readonly #kinds = new Map<string, { members: number; example: CorruptMember | null }>();
  members = 0;

  add(member: CorruptMember): void {
    this.members++;
    const kind = kindOf(member.reason);
    const known = this.#kinds.get(kind);
    if (known) known.members++;
    else if (this.#kinds.size < mostKinds) this.#kinds.set(kind, { members: 1, example: member });
    else
      this.#kinds.set('other reasons', {
        members: (this.#kinds.get('other reasons')?.members ?? 0) + 1,
        example: null,
      });
  }

  /** Most first. */
  get list(): ReasonCount[] {
    return [...this.#kinds]
      .map(([reason, of]) => ({ reason, ...of }))
      .sort((a, b) => b.members - a.members || (a.reason < b.reason ? -1 : 1));
  }
}
