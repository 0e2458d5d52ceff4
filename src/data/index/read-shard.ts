import { foreignKind, kindBytes } from '../../runtime/file-kind.ts';
import { turns } from '../../runtime/turns.ts';
import { GapReader } from './gap-reader.ts';
import type { RemoteShard, ShardStore } from './part-reader.ts';
import { type TarFault, type TarMember, tarMembers } from './tar.ts';

/** What lies in a shard, in the order of the tar. */
export interface ShardMembers {
  readonly members: readonly (TarMember | TarFault)[];
  /** Of all its bytes, where all were read: absent where pictures were passed over, and where the file is no tar file. */
  readonly sha256?: string;
}

/** Reads the headers of a shard, front to back. Read errors are thrown; what is wrong with the tar file is among its members. */
export async function readShard(store: ShardStore, shard: RemoteShard): Promise<ShardMembers> {
  const { bytes } = shard;
  const reader = new GapReader(store, shard);
  // Held beyond the next read.
  const start = Buffer.from(await reader.read(0, Math.min(bytes, kindBytes)));
  const members: (TarMember | TarFault)[] = [];
  const turn = turns();
  for await (const member of tarMembers((offset, size) => reader.read(offset, size), bytes)) {
    await turn();
    const kind = member.name === 'byte 0' ? foreignKind(start) : null;
    if (kind !== null) return { members: [{ name: 'byte 0', fault: `the shard is no tar file: ${kind}` }] };
    members.push(member);
  }
  const sha256 = await reader.sha256();
  return { members, ...(sha256 !== undefined && { sha256 }) };
}
