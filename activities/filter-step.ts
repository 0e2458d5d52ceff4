import { join } from 'node:path';
import { each, openIndex } from '../src/data/index/open-index.ts';
import { encodeWeights } from '../src/data/index/weight-file.ts';
import { type FilterKeys, filterKeys } from '../src/filtering/keys.ts';
import { lookAtShard } from '../src/filtering/look-at-shard.ts';
import { type FilterPlan, type FilterStep, startsOf } from '../src/filtering/plan.ts';
import { Verdicts } from '../src/filtering/verdicts.ts';
import { comparePartition, settleDuplicates } from '../src/packing/compare.ts';
import { isExact } from '../src/packing/edges.ts';
import { hashFile } from '../src/packing/hash-file.ts';
import { Partition } from '../src/packing/partition.ts';
import { fateBytes } from '../src/packing/resolve.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { FilterStepInput } from './types.ts';

interface StepOf {
  readonly deps: Dependencies;
  readonly plan: FilterPlan;
  readonly keys: FilterKeys;
  /** Number of the shard, or of the partition. */
  readonly part: number;
  readonly attempt: Attempt;
  doing(text: string): void;
}

/**
 * One part of one step of a filter. What it makes lies in the bucket under a key that its input names, is the same whoever
 * makes it and however often, and is not made again where it is there.
 */
export async function filterStep(
  deps: Dependencies,
  { begun, step, part }: FilterStepInput,
  attempt: Attempt,
): Promise<{ readonly step: FilterStep }> {
  let doing: string = step;
  const heart = beat(attempt, () => ({ doing }));
  try {
    const plan = await readDocumentAs<FilterPlan>(deps.store, begun.document, join(deps.scratch, 'documents'));
    const keys = filterKeys(begun.name, begun.filter);
    const marked = { look: keys.looked(part), compare: keys.pictures.compared(part), settle: keys.pictures.settled };
    const before = step === 'weigh' ? null : await deps.store.head(marked[step]);
    if (!before)
      await steps[step]({
        ...{ deps, plan, keys, part, attempt },
        doing: (text) => {
          attempt.signal.throwIfAborted();
          doing = text;
        },
      });
    return { step };
  } finally {
    heart.stop();
  }
}

const steps: Readonly<Record<FilterStep, (of: StepOf) => Promise<void>>> = { look, compare, settle, weigh };

function shardOf({ plan: { index }, part }: StepOf) {
  const shard = index.shards[part];
  if (shard) return shard;
  throw new RunnerError('DataContract', `there is no data shard ${part}, there are ${index.shards.length}`);
}

/** Of a shard what texts and pictures say by themselves, and the hashes of the pictures that remain. */
async function look(of: StepOf): Promise<void> {
  const { deps, plan, keys, part, doing } = of;
  const { settings, index, partitions } = plan;
  const shard = shardOf(of);
  const entries = [...each(await openIndex(index, deps.store).entriesOf(part))];
  const verdicts = new Verdicts(entries.length);
  const first = startsOf(plan)[part]!;
  const pictures = settings.duplicates !== undefined;
  let read = 0;
  const hashed = await lookAtShard(
    deps.store,
    { shard, entries, read: index.read, first, pictures },
    verdicts,
    () => {},
    (more) => {
      read += more;
      doing(`looked at ${read} of ${entries.length} examples of ${shard.key}`);
    },
  );
  if (settings.duplicates)
    await deps.store.put(
      keys.pictures.hashes(part),
      hashFile(hashed, partitions, settings.duplicates.bounds === 'near'),
    );
  // It says that the others are there.
  await deps.store.put(keys.looked(part), verdicts.encode());
}

/** Compares the pictures of one partition: two small ranges of what every shard has. */
async function compare({ deps, plan, keys, part, doing }: StepOf): Promise<void> {
  const { settings, index } = plan;
  const counts = index.shards.map(({ examples }) => examples);
  const partition = new Partition({ pairs: settings.duplicates!.of === 'pair' });
  await comparePartition(deps.store, keys.pictures, counts, part, partition, (shards) =>
    doing(`compared pictures of ${shards} of ${counts.length} shards, partition ${part}`),
  );
  const { crowded } = partition;
  await deps.store.put(keys.pictures.compared(part), JSON.stringify({ crowded }), { contentType: 'application/json' });
}

/** Settles which pictures go, of what all partitions found. */
async function settle({ deps, plan, keys, attempt, doing }: StepOf): Promise<void> {
  const counts = plan.index.shards.map(({ examples }) => examples);
  const folder = join(deps.scratch, `filter-${attempt.id}`);
  const found = await settleDuplicates(deps.store, keys.pictures, counts, plan.partitions, folder, (key) =>
    doing(`joining duplicates: ${key.slice(key.lastIndexOf('/') + 1)} of ${counts.length} shards`),
  );
  await deps.store.put(keys.pictures.settled, JSON.stringify(found), { contentType: 'application/json' });
}

/** Writes the weights of a shard: what all steps say of its examples. */
async function weigh(of: StepOf): Promise<void> {
  const { deps, plan, keys, part } = of;
  const { store } = deps;
  const verdicts = Verdicts.decode(await store.get(keys.looked(part)));
  if (plan.settings.duplicates) {
    const fates = await store.get(keys.pictures.fates(part));
    for (let at = 0; at < fates.length; at += fateBytes)
      verdicts.mask(
        fates.readUInt32LE(at),
        fates.readUInt32LE(at + 8) & isExact ? 'duplicates: equal pixels' : 'duplicates: near',
      );
  }
  const weights = Float32Array.from(verdicts.codes, (_, i) => (verdicts.remains(i) || verdicts.isBroken(i) ? 1 : 0));
  const { key, bytes, etag } = shardOf(of);
  const header = { shard: { key, bytes, etag }, filter: plan.filter, ...verdicts.counts };
  // The same bytes, whoever writes them; what is damaged is replaced.
  await store.put(keys.weights(part), encodeWeights(header, weights));
}
