import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CorruptExample } from '../data/example/corrupt-example.ts';
import { DroppedItems } from '../packing/dropped.ts';
import { membersBytes, ShardFile, type ShardMember } from '../packing/shard-file.ts';
import { RunnerError } from '../runtime/errors.ts';
import { canonicalJson, sha256 } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Benchmark, Example, Fault } from './benchmark.ts';
import type { Files } from './files.ts';
import { membersOf } from './members.ts';
import { openBenchmark } from './open.ts';
import {
  type BenchmarkReport,
  benchmarkKeys,
  type PackedSettings,
  readProgress,
  type ShardDone,
} from './pack-progress.ts';

/** A data set that is to be packed. */
export interface BenchmarkJob {
  readonly files: Files;
  readonly to: string;
  readonly settings: PackedSettings;
  /** In the place of those of the data set. */
  readonly classes?: readonly string[];
  readonly templates?: readonly string[];
  /** An own folder for a shard at a time. */
  readonly scratch: string;
  note(text: string): void;
}

type Store = Pick<ObjectStore, 'get' | 'head' | 'list' | 'put' | 'putFile' | 'delete'>;

/**
 * Writes a data set as shards, and beside them its classes, templates, categories and a report. Killed and started again it
 * goes on behind the last whole shard, with the same bytes; what is done already is answered at once. One example is held,
 * and a shard on the disk. Errors: DataContract.
 */
export async function packBenchmark(store: Store, job: BenchmarkJob): Promise<BenchmarkReport> {
  const { files, to, settings } = job;
  const keys = benchmarkKeys(to);
  const before = await readProgress(store, to, settings);
  const swept = async (report: BenchmarkReport) => {
    for await (const { key } of store.list(keys.work)) await store.delete(key);
    return report;
  };
  if ('report' in before) return swept(before.report);
  const opened = await openBenchmark(settings.kind, files, settings);
  const benchmark = withLists(opened, job);
  const { shards, leftOut } = await writeShards(store, job, benchmark, before.shards);
  const examples = shards.reduce((sum, one) => sum + one.examples, 0);
  if (examples === 0)
    throw new RunnerError(
      'DataContract',
      `${files.where} has no example that can be used: ${Object.keys(leftOut.all)[0] ?? 'it is empty'}`,
    );
  await writeLists(store, to, benchmark);
  const captions: Record<string, number> = {};
  for (const one of shards)
    for (const [language, count] of Object.entries(one.captions))
      captions[language] = (captions[language] ?? 0) + count;
  const report: BenchmarkReport = {
    version: 1,
    settings,
    examples,
    shards: shards.length,
    bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
    sha256: sha256(shards.map((one) => one.sha256).join('\n')),
    classes: benchmark.classes?.length ?? null,
    templates: benchmark.templates?.length ?? null,
    captions,
    leftOut: leftOut.all,
    notes: benchmark.notes.slice(0, 40),
  };
  await store.put(keys.report, JSON.stringify(report), { contentType: 'application/json' });
  return swept(report);
}

function withLists(opened: Benchmark, { classes, templates, files }: BenchmarkJob): Benchmark {
  if (classes && opened.classes && classes.length !== opened.classes.length)
    throw new RunnerError(
      'DataContract',
      `${files.where} has ${opened.classes.length} classes, and ${classes.length} names are given for them`,
    );
  return { ...opened, ...(classes && { classes }), ...(templates && { templates }) };
}

/** Shards from where an earlier pack came to; all that was left out is counted, that of before too. */
async function writeShards(store: Store, job: BenchmarkJob, benchmark: Benchmark, before: readonly ShardDone[]) {
  const { files, to, settings, scratch, note } = job;
  const keys = benchmarkKeys(to);
  const shards = [...before];
  const last = before.at(-1);
  const all = new DroppedItems();
  for (const { leftOut } of before) all.merge(leftOut);
  let dropped = new DroppedItems();
  let captions: Record<string, number> = {};
  let [read, names] = [0, ''];
  let shard: ShardFile | null = null;
  const close = async (to: { readonly read: number; readonly names: string }) => {
    if (!shard) return;
    const hash = await shard.end();
    // Not before: what can't be packed at all takes no prefix.
    if (shards.length === 0)
      await store.put(keys.settings, canonicalJson(settings), { contentType: 'application/json' });
    await store.putFile(keys.shard(shards.length), shard.path);
    await rm(shard.path);
    const { examples, bytes } = shard;
    const done: ShardDone = { ...to, examples, bytes, sha256: hash, captions, leftOut: dropped.all };
    await store.put(keys.done(shards.length), JSON.stringify(done), { contentType: 'application/json' });
    shards.push(done);
    all.merge(dropped.all);
    [shard, dropped, captions] = [null, new DroppedItems(), {}];
  };
  for await (const found of benchmark.examples()) {
    const earlier = { read, names };
    names = sha256(`${names}\n${found.name}`);
    read++;
    if (last && read <= last.read) {
      if (read === last.read && names !== last.names)
        throw new RunnerError(
          'DataContract',
          `${files.where} is not what it was when it began to be packed into ${to}/: take away what lies there and start again`,
        );
      continue;
    }
    const left: [name: string, reason: string][] = [];
    const members = await made(found, (name, reason) => left.push([name, reason]));
    const isFull =
      members !== null &&
      shard !== null &&
      (shard.examples === settings.shardExamples || shard.bytes + membersBytes(members) > settings.shardBytes);
    // A shard says all that was read before the first example of the next one.
    if (isFull) await close(earlier);
    for (const [name, reason] of left) dropped.add(name, reason);
    if (!members) continue;
    shard ??= new ShardFile(join(scratch, `${shards.length}.tar`));
    await shard.add(members);
    for (const [language, texts] of Object.entries(('captions' in found && found.captions) || {}))
      captions[language] = (captions[language] ?? 0) + texts.length;
    note(`${read} looked at, ${shards.length} shards written`);
  }
  if (last && read < last.read)
    throw new RunnerError(
      'DataContract',
      `${files.where} has fewer examples than when it began to be packed into ${to}/`,
    );
  await close({ read, names });
  all.merge(dropped.all);
  return { shards, leftOut: all };

  async function made(
    found: Example | Fault,
    leaveOut: (name: string, reason: string) => void,
  ): Promise<ShardMember[] | null> {
    if ('fault' in found) {
      leaveOut(found.name, found.fault);
      return null;
    }
    try {
      return await membersOf(files, benchmark, found, String(read).padStart(8, '0'), leaveOut);
    } catch (error) {
      if (!(error instanceof CorruptExample)) throw error;
      leaveOut(found.name, error.message);
      return null;
    }
  }
}

async function writeLists(store: Store, to: string, { classes, templates, categories }: Benchmark): Promise<void> {
  const keys = benchmarkKeys(to);
  // A line is a number: one without a name would move all that come behind it.
  const lines = (list: readonly string[]) =>
    list.map((line, i) => `${line.replaceAll(/\s+/g, ' ').trim() || `class ${i}`}\n`).join('');
  if (classes) await store.put(keys.classes, lines(classes), { contentType: 'text/plain; charset=utf-8' });
  if (templates) await store.put(keys.templates, lines(templates), { contentType: 'text/plain; charset=utf-8' });
  if (categories)
    await store.put(keys.categories, `${JSON.stringify([...categories.values()])}\n`, {
      contentType: 'application/json',
    });
}
