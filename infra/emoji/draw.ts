import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { pack } from 'tar-stream';
import type { ExampleMeta } from '../../src/data/example/types.ts';

/** An example of the set, before it is written. */
export interface EmojiExample {
  readonly name: string;
  readonly svg: string;
  readonly meta: ExampleMeta;
}

export interface TarShard {
  readonly body: Buffer;
  readonly sha256: string;
}

/** PNG of 64 by 64 pixels on white. librsvg draws at the final size, so that nothing is resampled. */
export function draw(svg: string): Promise<Buffer> {
  return sharp(Buffer.from(svg))
    .flatten({ background: '#fff' })
    .toColourspace('srgb')
    .png({ compressionLevel: 9, adaptiveFiltering: false })
    .toBuffer();
}

/** A WebDataset shard. Its bytes depend on its content alone: no times, no owner, fixed modes. */
export async function tarShard(members: readonly { name: string; body: Buffer }[]): Promise<TarShard> {
  const tar = pack();
  const header = { mode: 0o644, mtime: new Date(0), uid: 0, gid: 0, uname: '', gname: '' };
  for (const { name, body } of members) tar.entry({ ...header, name }, body);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return { body, sha256: createHash('sha256').update(body).digest('hex') };
}
