import { type FileHandle, open } from 'node:fs/promises';
import { CorruptExample } from '../data/example/corrupt-example.ts';
import { decodeImage } from '../data/example/decode.ts';
import { checkSizes, readMeta } from '../data/example/example.ts';
import type { Region } from '../data/example/regions.ts';
import { joinMembers } from '../data/index/members.ts';
import { readShard } from '../data/index/read-shard.ts';
import type { ByteRange, CorruptMember, ExampleEntry, Mapping } from '../data/index/types.ts';
import { type BoxCounts, keptBoxes, rounded } from './boxes.ts';
import { type Detector, openDetector } from './detector.ts';
import type { Asking } from './plan.ts';
import { ngramsOfAll } from './queries.ts';

/** All that a shard on the local disk is annotated by. */
export interface AnnotationJob {
  readonly file: string;
  readonly shard: { readonly key: string; readonly bytes: number; readonly etag: string };
  readonly read?: Mapping;
  /** Local folder of the detector, and where it lies for people. */
  readonly detector: { readonly folder: string; readonly name: string };
  readonly asking: Asking;
  /** Answers that are known already, the first ones. */
  readonly from: number;
  /** Shared memory: it ends before the next example when this is no longer 0. */
  readonly stop?: Int32Array;
}

export type ScoredRegion = Region & { readonly score: number };

/** What became of an example, or a member that can't be used. */
export type Annotated =
  | { readonly corrupt: CorruptMember }
  | {
      readonly name: string;
      readonly regions: readonly ScoredRegion[];
      readonly counts: BoxCounts;
      /** Asked of its captions, and of the categories. */
      readonly queries: { readonly ngrams: number; readonly categories: number };
    };

/** Every example of a shard in the order of the tar, and what of it can't be used. */
export async function* annotateExamples(job: AnnotationJob): AsyncGenerator<Annotated> {
  const { shard, read, detector: of } = job;
  const file = await open(job.file, 'r');
  const bytesOf = (range: ByteRange) => readAt(file, range);
  let detector: Detector | undefined;
  try {
    const get = async (_: string, { offset = 0, size = shard.bytes }: { offset?: number; size?: number } = {}) =>
      bytesOf({ offset, size });
    const { members } = await readShard({ bucket: '', get }, shard);
    const { examples, corrupt } = await joinMembers(shard.key, members, read);
    let number = 0;
    for (const member of corrupt) if (number++ >= job.from) yield { corrupt: member };
    for (const entry of examples) {
      if (number++ < job.from) continue;
      if (job.stop && Atomics.load(job.stop, 0) !== 0) return;
      // A shard without a picture needs no detector.
      detector ??= await openDetector(of.folder, of.name);
      try {
        yield await annotated(detector, entry, job, bytesOf);
      } catch (error) {
        if (!(error instanceof CorruptExample)) throw error;
        yield { corrupt: { shard: shard.key, name: entry.name, reason: error.message } };
      }
    }
  } finally {
    await detector?.close();
    await file.close();
  }
}

async function annotated(
  detector: Detector,
  entry: ExampleEntry,
  { read, asking }: AnnotationJob,
  bytesOf: (range: ByteRange) => Promise<Buffer>,
): Promise<Annotated> {
  checkSizes(entry, read);
  const { captions } = await readMeta(entry, read, bytesOf);
  const { ngrams, language, templates, rules } = asking;
  const own = ngramsOfAll(captions[language] ?? [], ngrams.longest, ngrams.most);
  const known = new Set(own);
  const categories = asking.categories.filter((category) => !known.has(category));
  const queries = [...own, ...categories];
  const image = await decodeImage(await bytesOf(entry.image));
  const proposals = await detector.propose(image, queries, templates);
  const curated = { from: own.length, scale: asking.categoryScale };
  const { kept, counts } = keptBoxes(proposals, rules, curated);
  const regions = kept.map(({ box, score, query }) => ({ caption: queries[query]!, box, score: rounded(score) }));
  return { name: entry.name, regions, counts, queries: { ngrams: own.length, categories: categories.length } };
}

async function readAt(file: FileHandle, { offset, size }: ByteRange): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(size);
  let done = 0;
  while (done < size) {
    const { bytesRead } = await file.read(buffer, done, size - done, offset + done);
    if (bytesRead === 0) throw new Error(`the local copy of a shard ends before byte ${offset + size}`);
    done += bytesRead;
  }
  return buffer;
}
