import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { restoreCheckpoint } from '../../src/checkpoint/restore.ts';
import type { CheckpointRef, StateFile } from '../../src/checkpoint/types.ts';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { streamState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import type { BenchOptions } from './arguments.ts';
import { forgetPeak, memoryOf } from './memory.ts';
import { isWanted } from './names.ts';
import { noisyState } from './noisy-state.ts';
import type { BenchRecord, Report } from './record.ts';
import { stepSettings } from './shapes.ts';
import type { Site } from './site.ts';
import { compareTurns, spread } from './statistics.ts';

type Timed = Record<'snapshot' | 'save' | 'put' | 'load' | 'get', number[]>;

/**
 * A checkpoint of the emoji recipe, with the token table of all 256,000 rows. snapshot: from the graph to local disk,
 * which training waits for, with the memory that it takes beside the state. save: commit of a snapshot, which it does not wait for. load: restore to an empty folder,
 * verified. Beside save and load, in turns, a plain PUT or GET of the same files from and to memory.
 */
export async function benchCheckpoint({ runs = 5, only }: BenchOptions, site: Site, report: Report): Promise<void> {
  const settings = stepSettings('step/emoji', 'f32');
  const { program } = createTrainer(settings);
  const load = () => program.write(noisyState(settings));
  load();
  let beyond: number | null = null;
  const times: Timed = { snapshot: [], save: [], put: [], load: [], get: [] };
  const timed = async <T>(what: keyof Timed, work: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const result = await work();
    times[what].push(performance.now() - began);
    return result;
  };
  let bytes = 0;
  for (let run = 0; run < runs; run++) {
    const folder = join(site.folder, `snapshot-${run}`);
    await mkdir(folder);
    collectGarbage();
    const before = forgetPeak() ? memoryOf('VmRSS') : null;
    const written = await timed('snapshot', () => streamState(folder, settings, program.read));
    if (before !== null) beyond = Math.max(beyond ?? 0, memoryOf('VmHWM')! - before);
    bytes = written.state.reduce((sum, file) => sum + file.bytes, 0);
    const { ref } = await timed('save', () => save(site, folder, written.state, run + 1));
    const files = await Promise.all(written.state.map(({ path }) => readFile(join(folder, path))));
    await timed('put', () => putPlainly(site, files));
    const into = join(site.folder, `restored-${run}`);
    await timed('load', () => restoreCheckpoint(site.store, ref, into));
    const got = await timed('get', () => getPlainly(site, files.length));
    if (got !== bytes) throw new Error(`${bytes} bytes were put and ${got} came back`);
    await rm(folder, { recursive: true });
    await rm(into, { recursive: true });
  }
  const record = (name: string, variant: string, ms: readonly number[], compared: Partial<BenchRecord> = {}) => {
    if (!isWanted(only, name, variant)) return;
    const { min, median } = spread(ms);
    report({
      name,
      variant,
      ms_min: min,
      ms_median: median,
      runs,
      bytes,
      mb_per_second: bytes / 1000 / median,
      ...compared,
    });
  };
  program.dispose();
  record('checkpoint/snapshot', 'disk', times.snapshot, { beyond_bytes: beyond });
  record('checkpoint/save', 'commit', times.save, against(times.save, times.put, 'a plain PUT'));
  record('checkpoint/save', 'raw-put', times.put);
  record('checkpoint/load', 'restore', times.load, against(times.load, times.get, 'a plain GET'));
  record('checkpoint/load', 'raw-get', times.get);
}

function against(ours: readonly number[], raw: readonly number[], name: string): Partial<BenchRecord> {
  const inTurns = (ms: readonly number[]) => ms.map((time) => [time]);
  const { ofMedians, pairs } = compareTurns(inTurns(ours), inTurns(raw));
  return { against: name, ratio: ofMedians, ratio_low: pairs.min, ratio_high: pairs.max };
}

function save(
  { store }: Site,
  folder: string,
  state: readonly StateFile[],
  step: number,
): Promise<{ ref: CheckpointRef }> {
  return commitCheckpoint(store, {
    run: 'bench',
    phase: 'pretrain',
    revision: 0,
    step,
    examples: step * 256,
    attempt: randomBytes(8).toString('hex'),
    folder,
    state,
    sidecars: [],
    parent: null,
    inputHash: sha256(`inputs of step ${step}`),
    recipeHash: sha256('bench'),
    codeVersion: 'bench',
    dataFingerprint: sha256('no data'),
    skipped: [],
    metrics: { loss: 0, examplesPerSecond: 0, dataWaitShare: 0 },
  });
}

const plainKey = (i: number) => `plain/${i}`;

async function putPlainly({ store }: Site, files: readonly Buffer[]): Promise<void> {
  for (const [i, Body] of files.entries()) {
    await store.client.send(new PutObjectCommand({ Bucket: store.bucket, Key: plainKey(i), Body }));
  }
}

async function getPlainly({ store }: Site, files: number): Promise<number> {
  let bytes = 0;
  for (let i = 0; i < files; i++) {
    const { Body } = await store.client.send(new GetObjectCommand({ Bucket: store.bucket, Key: plainKey(i) }));
    for await (const chunk of Body as AsyncIterable<Uint8Array>) bytes += chunk.length;
  }
  return bytes;
}
