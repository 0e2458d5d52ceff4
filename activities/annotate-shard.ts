import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import type { Annotated, AnnotationJob } from '../src/annotation/annotate-examples.ts';
import { fetchDetector, fetchObject } from '../src/annotation/detector-files.ts';
import { Parts } from '../src/annotation/parts.ts';
import type { AnnotationPlan } from '../src/annotation/plan.ts';
import { inspectRegions, writeRegions } from '../src/annotation/region-writer.ts';
import { regionKey } from '../src/data/index/region-file.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { hashJson } from '../src/runtime/hash.ts';
import { openProducer } from '../src/runtime/producer.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { putOnce } from './put-once.ts';
import type { AnnotateShardInput, AnnotateShardResult } from './types/annotation.ts';

/** Examples that wait to be written down. */
const ahead = 64;
/** So much of a shard is lost at most when its worker dies. */
const keptEveryMs = 60_000;

/**
 * Has a detector find the regions of every picture of a data shard and keeps them in the bucket. Their key is a pure
 * function of the plan, and is written once: of several attempts one counts, and what is there already is verified and
 * adopted without a detector. What an attempt has done before it died or was cancelled, the next one goes on from.
 */
export async function annotateShard(
  deps: Dependencies,
  { plan: { document }, shard: number }: AnnotateShardInput,
  attempt: Attempt,
  partMs = keptEveryMs,
): Promise<AnnotateShardResult> {
  const { store, scratch } = deps;
  const folder = join(scratch, 'annotate', attempt.id);
  let doing = 'looking for stored regions';
  let done = 0;
  const heart = beat(attempt, () => ({ shard: number, doing, pictures: done }));
  try {
    const plan = await readDocumentAs<AnnotationPlan>(store, document, join(scratch, 'documents'));
    const shard = plan.shards[number];
    if (!shard)
      throw new RunnerError('DataContract', `there is no data shard ${number}, there are ${plan.shards.length}`);
    const key = regionKey(plan.out, shard.key);
    const there = () => inspectRegions(store, key, shard, plan.annotation);
    const parts = new Parts(store, partsPrefix(plan.out, plan.annotation, shard), partMs);
    const before = await there();
    if (before) {
      await parts.clear();
      return before;
    }
    doing = 'fetching the detector';
    const detector = { folder: await fetchDetector(store, plan.detector, scratch), name: plan.detector.place };
    doing = `fetching ${shard.key}`;
    await mkdir(folder, { recursive: true });
    const file = join(folder, 'shard.tar');
    await fetchObject(store, shard, file, attempt.signal);
    doing = `looking at the pictures of ${shard.key}`;
    const { read, asking } = plan;
    const job = { file, shard, detector, asking, ...(read && { read }) };
    const examples = counted(
      parts.through((from) => annotatedOf({ ...job, from }, attempt.signal)),
      () => done++,
    );
    const written = await writeRegions(folder, { shard, annotation: plan.annotation }, examples);
    await deps.onPoint?.('scored');
    doing = 'uploading the regions';
    return await putOnce(async () => {
      const { path, sha256, ...result } = written;
      await store.putFile(key, path, { ifAbsent: true, sha256, signal: attempt.signal });
      await deps.onPoint?.('stored');
      await parts.clear();
      return { key, ...result };
    }, there);
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** Of one version of a shard and one annotation. */
const partsPrefix = (out: string, annotation: string, shard: AnnotationPlan['shards'][number]): string =>
  `${out}/unfinished/${annotation.slice(0, 16)}/${hashJson(shard).slice(0, 16)}/`;

async function* counted(all: AsyncIterable<Annotated>, count: () => void): AsyncGenerator<Annotated> {
  for await (const one of all) {
    count();
    yield one;
  }
}

/**
 * What the thread makes of the examples, one after the other. It ends by itself, after the picture that it is at: a thread
 * that is broken off within ONNX Runtime takes the whole process along.
 */
async function* annotatedOf(of: Omit<AnnotationJob, 'stop'>, signal: AbortSignal): AsyncGenerator<Annotated> {
  const module = new URL('../src/annotation/annotate-thread.ts', import.meta.url).href;
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const thread = openProducer<AnnotationJob, Annotated | null>({ module, settings: { ...of, stop }, prefetch: ahead });
  const stopped = new Promise<never>((_, reject) => {
    const tell = () => reject(new CancelledFailure('stopped before the shard was annotated'));
    if (signal.aborted) tell();
    signal.addEventListener('abort', tell, { once: true });
  });
  stopped.catch(() => {});
  let next = thread.next();
  try {
    for (;;) {
      const one = await Promise.race([stopped, next]);
      if (one === null) return;
      next = thread.next();
      yield one;
    }
  } finally {
    Atomics.store(stop, 0, 1);
    while ((await next.catch(() => null)) !== null) next = thread.next();
    await thread.close();
  }
}
