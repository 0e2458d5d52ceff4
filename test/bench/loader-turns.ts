import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { tarShard } from '../../infra/emoji/draw.ts';
import { tokenizerFiles } from '../../src/data/example/tokenizer.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import type { BatchPlan } from '../../src/recipe/batch-plan.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { randomStream } from '../../src/runtime/random.ts';
import type { BenchOptions } from './arguments.ts';
import { LineProcess } from './line-process.ts';
import type { LoaderAnswer, LoaderJob } from './loader-process.ts';
import { isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import type { Site } from './site.ts';
import { compareTurns, spread } from './statistics.ts';

const name = 'loader/jpeg';
const prefix = 'data/jpeg/train';
const [shards, each] = [4, 512];
const [batch, resolution, textLength] = [64, 256, 64];
const views = { views: 8, resolution: 96 };
/** More than either side makes ahead. */
const drain = 8;
const memoryImages = 100_000;

const peerFile = fileURLToPath(new URL('loader-peer/peer.py', import.meta.url));

/** SetupMissing when this Python can't run the peer of the loader, saying what to type. */
export async function requireLoaderPeer(python: string): Promise<void> {
  try {
    await promisify(execFile)(python, ['-c', 'import torch, torchvision, transformers, webdataset']);
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string };
    const install = `${python} -m pip install -r test/bench/loader-peer/requirements.txt`;
    const said = stderr.trim().split('\n').at(-1) || message;
    throw new RunnerError('SetupMissing', `--peer ${python} can't run the peer (${said}); type ${install}`, { cause });
  }
}

/**
 * JPEG files of 512 pixels to batches of 64 pictures of 256, as numbers, with 64 tokens each; views: with a global view and
 * eight of 96 pixels beside each. Ours in as many threads as there are cores, and the peer in as many processes, take turns on
 * the same files. A turn of `runs` batches begins after those that were made meanwhile. Of views the peer works on PIL's
 * pictures and on tensors: the faster is what ours is compared with. memory: how resident memory grows over 100,000 pictures.
 */
export async function benchLoaderTurns(options: BenchOptions, site: Site, report: Report): Promise<void> {
  const wanted = (variant: string) => isWanted(options.only, name, variant);
  const compared = (['plain', 'views'] as const).filter((variant) => options.peer !== undefined && wanted(variant));
  if (compared.length === 0 && !wanted('memory')) return;
  const files = await makeShards(site);
  const { document } = await indexData(site.store, prefix);
  const threads = availableParallelism();
  const start = async (variant: string) => {
    const job: LoaderJob = { index: document, plan: planOf(variant === 'views'), threads, drain };
    const file = join(site.folder, `${variant}.json`);
    await writeFile(file, JSON.stringify(job));
    return LineProcess.start<object, LoaderAnswer>(variant, ...ourProcess('loader-process.ts', file), site.env);
  };
  for (const variant of compared) await compare(variant, options, await start(variant), files, threads, report);
  if (wanted('memory')) await watchMemory(await start('memory'), report);
}

async function compare(
  variant: 'plain' | 'views',
  { runs = variant === 'plain' ? 40 : 10, turns, peer }: BenchOptions,
  ours: LineProcess<object, LoaderAnswer>,
  files: readonly string[],
  threads: number,
  report: Report,
): Promise<void> {
  const sides = [{ label: variant as string, process: ours, ms: [] as number[][] }];
  try {
    for (const kind of variant === 'plain' ? ['pil'] : ['pil', 'tensor']) {
      const shape = { batch, size: resolution, length: textLength, workers: threads, drain };
      const seen = variant === 'views' ? { views: views.views, local: views.resolution, kind } : {};
      const own = Object.entries({ ...shape, ...seen }).flatMap(([key, value]) => [`--${key}`, String(value)]);
      const same = [peerFile, '--shards', ...files, '--tokenizer', tokenizerFiles().tokenizer];
      const process = await LineProcess.start<object, LoaderAnswer>('the peer', peer!, [...same, ...own]);
      sides.push({ label: `peer-${variant}-${kind}`, process, ms: [] });
    }
    for (let turn = 0; turn < turns; turn++)
      for (const side of sides) side.ms.push([...(await side.process.ask(String(runs))).ms]);
  } finally {
    for (const { process } of sides) await process.close();
  }
  const records = sides.map(({ label, ms }) => {
    const { min, median } = spread(ms.flat());
    const images_per_second = (1000 * batch) / median;
    return { name, variant: label, ms_min: min, ms_median: median, runs: turns * runs, images_per_second };
  });
  const best = records.slice(1).reduce((a, b) => (b.ms_median < a.ms_median ? b : a));
  const { ofMedians, pairs } = compareTurns(sides[0]!.ms, sides.find(({ label }) => label === best.variant)!.ms);
  const against = `${best.variant} (${threads} processes)`;
  const ratios = { ratio: ofMedians, ratio_low: pairs.min, ratio_high: pairs.max };
  report({ ...records[0]!, against, ...ratios });
  for (const record of records.slice(1)) report(record);
}

async function watchMemory(ours: LineProcess<object, LoaderAnswer>, report: Report): Promise<void> {
  const part = Math.round(memoryImages / 10 / batch);
  const seen: { rss: number | null; ms: number }[] = [];
  try {
    for (let i = 0; i < 10; i++) {
      const { rss, ms } = await ours.ask(String(part - drain));
      seen.push({ rss, ms: ms[0] });
    }
  } finally {
    await ours.close();
  }
  const { min, median } = spread(seen.map(({ ms }) => ms));
  const [early, late] = [seen[1]!.rss, seen.at(-1)!.rss];
  const beyond_bytes = early === null || late === null ? null : late - early;
  const rate = { images_per_second: (1000 * batch) / median };
  // From the 20,000th picture to the last.
  report({
    name,
    variant: 'memory',
    ms_min: min,
    ms_median: median,
    runs: 10 * part,
    ...rate,
    peak_bytes: late,
    beyond_bytes,
  });
}

function planOf(withViews: boolean): BatchPlan {
  const data = { train: prefix, captions: [{ language: 'en', weight: 1 }], labelShare: 1 };
  return {
    ...{ seed: 1, phase: 'bench', batch, resolution, textLength, vocabulary: null },
    // As the peer resizes, and new recipes.
    data: { ...data, augment: { scale: [1, 1], shift: 0 }, resize: 'antialias' },
    ...(withViews && { parts: { globalView: {}, localViews: views } }),
  };
}

/** Pictures of noise that is smooth over eight pixels, of about 70 kB, in shards: in the store, and as files for the peer. */
async function makeShards(site: Site): Promise<string[]> {
  const words = 'a photo of the red dog on green grass with blue ball under white sky near old house by river'.split(
    ' ',
  );
  const folder = join(site.folder, 'jpeg');
  await mkdir(folder, { recursive: true });
  const files: string[] = [];
  for (let shard = 0; shard < shards; shard++) {
    const members: { name: string; body: Buffer }[] = [];
    for (let i = 0; i < each; i++) {
      const random = randomStream(1, 'jpeg', shard, i);
      const raw = { width: 64, height: 64, channels: 3 } as const;
      const pixels = Uint8Array.from({ length: 64 * 64 * 3 }, () => 128 + 60 * random.normal());
      const body = await sharp(pixels, { raw }).resize(512, 512).jpeg({ quality: 90 }).toBuffer();
      const text = Array.from({ length: 12 }, () => words[random.below(words.length)]).join(' ');
      members.push({ name: `${shard}-${i}.jpg`, body });
      members.push({ name: `${shard}-${i}.json`, body: Buffer.from(JSON.stringify({ captions: { en: [text] } })) });
    }
    const { body } = await tarShard(members);
    await site.store.put(`${prefix}/${shard}.tar`, body);
    files.push(join(folder, `${shard}.tar`));
    await writeFile(files.at(-1)!, body);
  }
  return files;
}
