import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { pack } from 'tar-stream';

/** A member takes a header and whole blocks. */
const blocked = (bytes: number) => 512 + Math.ceil(bytes / 512) * 512;
const endBytes = 1024;

export interface ShardMember {
  readonly name: string;
  readonly body: Buffer;
}

/** Bytes that these members take in a tar. */
export const membersBytes = (members: readonly ShardMember[]): number =>
  members.reduce((sum, { body }) => sum + blocked(body.length), 0);

/** A WebDataset shard in a local file. Its bytes depend on its members alone: no times, no owner, fixed modes. */
export class ShardFile {
  readonly path: string;
  bytes = endBytes;
  examples = 0;
  readonly #tar = pack();
  readonly #hash = createHash('sha256');
  readonly #done: Promise<unknown>;

  constructor(path: string) {
    this.path = path;
    const file = createWriteStream(path);
    this.#done = once(file, 'close');
    this.#done.catch(() => {});
    this.#tar.on('data', (chunk) => {
      this.#hash.update(chunk as Buffer);
    });
    this.#tar.pipe(file);
  }

  /** The members of one example. */
  async add(members: readonly ShardMember[]): Promise<void> {
    const header = { mode: 0o644, mtime: new Date(0), uid: 0, gid: 0, uname: '', gname: '' };
    for (const { name, body } of members)
      await new Promise<void>((resolve, reject) => {
        this.#tar.entry({ ...header, name }, body, (error) => (error ? reject(error) : resolve()));
      });
    this.bytes += membersBytes(members);
    this.examples++;
  }

  /** Its sha256, once all is on disk. */
  async end(): Promise<string> {
    this.#tar.finalize();
    await this.#done;
    return this.#hash.digest('hex');
  }
}
