import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { tarShard } from '../../infra/emoji/draw.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { randomStream } from '../../src/runtime/random.ts';
import type { BenchOptions } from './arguments.ts';
import type { HostAnswer, HostJob } from './host-process.ts';
import { LineProcess } from './line-process.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import type { Site } from './site.ts';

const name = 'host/32k';
/** Pictures of the set. Decoded they are more than the loader keeps, so that each is decoded whenever it comes. */
const pictures = 1024;
const prefix = 'data/large/train';

/**
 * What batches take of the host at the paper's size, at 256 pixels. views: a step on 32,768 pictures in micro-batches of
 * 32, with a global and eight local views of each. acid: 32,768 of a super-batch of 65,536 are chosen and trained on.
 *
 * The loader, the files and the compiled steps are the real ones; the towers are small, with embeddings of 128 numbers, since a
 * CPU would train B/16 for hours on one such batch. The loader makes the first rows alone (`rowsMade`), more than are kept in
 * memory; those after them are the same rows over and over, read from where those of a whole batch would lie. The rate is that
 * of the loader and of the first pass, pictures in a second; `ms` the whole step; `beyond_bytes` the peak of the process beyond
 * what it held, with all compiled and used once, before its first picture.
 */
export async function benchHost({ only }: BenchOptions, site: Site, report: Report): Promise<void> {
  const wanted = benchmarks[name].filter((variant) => isWanted(only, name, variant));
  if (wanted.length === 0) return;
  await site.store.put(`${prefix}/0.tar`, await shard());
  const indexFile = join(site.folder, 'large.json');
  await writeFile(indexFile, JSON.stringify((await indexData(site.store, prefix)).document));
  for (const variant of wanted) {
    const job: HostJob = { variant, indexFile, folder: site.folder };
    const child = await LineProcess.start<{ rowsMade: number }, HostAnswer>(
      variant,
      ...ourProcess('host-process.ts', JSON.stringify(job)),
      site.env,
    );
    try {
      const { ms, making, peak, beyond } = await child.ask('step');
      const rates = { images_per_second: (1000 * child.ready.rowsMade) / making };
      report({ name, variant, ms_min: ms, ms_median: ms, runs: 1, ...rates, peak_bytes: peak, beyond_bytes: beyond });
    } finally {
      await child.close();
    }
  }
}

/** Photographs as far as a decoder is concerned: JPEG files of 320 by 320 pixels, of about 20 kB. */
async function shard(): Promise<Buffer> {
  const members: { name: string; body: Buffer }[] = [];
  for (let i = 0; i < pictures; i++) {
    const random = randomStream(1, 'host', i);
    const raw = { width: 40, height: 40, channels: 3 } as const;
    const pixels = Uint8Array.from({ length: 40 * 40 * 3 }, () => random.below(256));
    const body = await sharp(pixels, { raw }).resize(320, 320).jpeg().toBuffer();
    members.push({ name: `${i}.jpg`, body });
    members.push({ name: `${i}.json`, body: Buffer.from(JSON.stringify({ captions: { en: [`picture ${i}`] } })) });
  }
  return (await tarShard(members)).body;
}
