import { pMapIterable } from 'p-map';
import type { ExampleMeta } from '../data/example/types.ts';
import { each, openIndex } from '../data/index/open-index.ts';
import { encodeWeights, weightsIn } from '../data/index/weight-file.ts';
import { comparePartition, settleDuplicates } from '../packing/compare.ts';
import { hashFile } from '../packing/hash-file.ts';
import { Partition } from '../packing/partition.ts';
import { counted, outOf } from '../runtime/count-text.ts';
import { putSame } from '../storage/put-kept.ts';
import { CosineSpread, unseen } from './agreement.ts';
import { balance, type StoredAttributes, weighBalanced } from './balance-step.ts';
import { assign, centroids, compareEmbeddings } from './embedding-steps.ts';
import { lookAtShard } from './look-at-shard.ts';
import { type FilterStep, startsOf } from './plan.ts';
import { countsOf, putJson, readJson, type StepOf, shardOf, verdictsOf } from './step.ts';
import { type TextRules, textVerdict } from './text-rules.ts';
import { Verdicts } from './verdicts.ts';
import { attributesOf, readerOf } from './word-lists.ts';

interface Step {
  /** What is there once a part is done: it is not done again then. */
  readonly mark: (of: Pick<StepOf, 'keys' | 'part'>) => string | null;
  readonly make: (of: StepOf) => Promise<void>;
}

/** Every step but `embed`, which needs a device. What a part makes is the same whoever makes it, and however often. */
export const steps: Readonly<Record<Exclude<FilterStep, 'embed'>, Step>> = {
  bound: { mark: ({ keys }) => keys.bound, make: bound },
  look: { mark: ({ keys, part }) => keys.looked(part), make: look },
  compare: { mark: ({ keys, part }) => keys.pictures.compared(part), make: compare },
  settle: { mark: ({ keys }) => keys.pictures.settled, make: (of) => settle(of, 'pictures') },
  cluster: { mark: ({ keys }) => keys.centroids, make: centroids },
  assign: { mark: ({ keys, part }) => keys.embeddings.hashes(part), make: assign },
  compareEmbeddings: { mark: ({ keys, part }) => keys.embeddings.compared(part), make: compareEmbeddings },
  settleEmbeddings: { mark: ({ keys }) => keys.embeddings.settled, make: (of) => settle(of, 'embeddings') },
  balance: { mark: ({ keys }) => keys.balanced, make: balance },
  // Of a damaged one no reader would know: it is made anew.
  weigh: { mark: () => null, make: weigh },
};

/** What all cosines come to. */
export interface Agreement {
  /** Below it an example is left out; null: none is. */
  readonly least: number | null;
  /** Cosines that so many percent of the examples lie below. */
  readonly quantiles: Readonly<Record<string, number>>;
}

const told = [1, 10, 25, 50, 90];
/** Objects that are read side by side. */
const readAtOnce = 16;

/** Finds the cosine below which an example is left out, and how the cosines are spread. */
async function bound({ store, plan, keys, doing }: StepOf): Promise<void> {
  const { least = null, lowest } = plan.settings.agreement ?? {};
  const spread = new CosineSpread();
  // One after the other 10,000 small objects take minutes; counts are the same in any order.
  const { shards } = plan.index;
  const read = pMapIterable(shards.keys(), (n) => store.get(keys.cosines(n)), { concurrency: readAtOnce });
  let done = 0;
  for await (const cosines of read) {
    spread.add(weightsIn(cosines));
    doing(`read the agreement of ${outOf(++done, shards.length, 'shard')}`);
  }
  const quantiles = spread.total === 0 ? [] : told.map((percent) => [`${percent} %`, spread.below(percent / 100)]);
  await putJson(store, keys.bound, {
    least: lowest === undefined ? least : spread.below(lowest),
    quantiles: Object.fromEntries(quantiles),
  } satisfies Agreement);
}

/** Of a shard what texts, pictures and agreement say of each example, and the hashes of the pictures that remain. */
async function look(of: StepOf): Promise<void> {
  const { store, plan, keys, part, doing } = of;
  const { settings, index, partitions } = plan;
  const shard = shardOf(of);
  const entries = [...each(await openIndex(index, store).entriesOf(part))];
  const verdicts = new Verdicts(entries.length);
  if (plan.model) {
    const { least } = await readJson<Agreement>(store, keys.bound);
    for (const [i, cosine] of weightsIn(await store.get(keys.cosines(part))).entries())
      if (cosine === unseen) verdicts.break(i);
      else if (least !== null && cosine < least)
        verdicts.mask(i, `agreement: a cosine below ${Number(least.toFixed(4))}`);
  }
  const pictures = settings.duplicates !== undefined;
  const attributes: StoredAttributes[number][] = [];
  if (settings.duplicates ?? settings.text ?? settings.balance) {
    const of = { shard, entries, read: index.read, first: startsOf(plan)[part]!, pictures };
    const reader = settings.balance && readerOf(settings.balance.lists);
    const say = (i: number, { captions }: ExampleMeta) => {
      const problem = settings.text && textProblem(captions, settings.text);
      if (problem !== undefined) verdicts.mask(i, `text: ${problem}`);
      else if (reader) {
        const found = attributesOf((captions[settings.balance!.language] ?? []).join('\n'), reader);
        if (found !== reader.nothing) attributes.push([i, found.s, found.y]);
      }
    };
    let read = 0;
    const onRead = (more: number) => {
      read += more;
      doing(`looked at ${outOf(read, entries.length, 'example')} of ${shard.key}`);
    };
    const hashed = await lookAtShard(store, of, verdicts, say, onRead);
    const near = settings.duplicates?.bounds === 'near';
    if (settings.duplicates) await store.put(keys.pictures.hashes(part), hashFile(hashed, partitions, near));
  }
  if (settings.balance) {
    attributes.sort(([a], [b]) => a - b);
    await putJson(store, keys.attributes(part), attributes);
  }
  // It says that the others are there.
  await store.put(keys.looked(part), verdicts.encode());
}

/** Why no text of an example keeps to the rules: what is wrong with the first; undefined where one does. */
function textProblem(captions: ExampleMeta['captions'], rules: TextRules): string | undefined {
  let problem: string | undefined;
  for (const [language, texts] of Object.entries(captions))
    for (const text of texts) {
      const found = textVerdict(text, rules, language);
      if (found === undefined) return undefined;
      problem ??= found;
    }
  return problem;
}

/** Compares the pictures of one partition: two small ranges of what every shard has. */
async function compare({ store, plan, keys, part, doing }: StepOf): Promise<void> {
  const counts = countsOf(plan);
  const partition = new Partition({ pairs: plan.settings.duplicates!.of === 'pair' });
  await comparePartition(store, keys.pictures, counts, part, partition, (shards) =>
    doing(`compared pictures of ${outOf(shards, counts.length, 'shard')}, partition ${part}`),
  );
  await putJson(store, keys.pictures.compared(part), { crowded: partition.crowded });
}

/** Settles which examples go, of what all partitions found. */
async function settle({ store, plan, keys, folder, doing }: StepOf, of: 'pictures' | 'embeddings'): Promise<void> {
  const counts = countsOf(plan);
  const found = await settleDuplicates(store, keys[of], counts, plan.partitions, folder, (key) =>
    doing(`joining duplicates: ${key.slice(key.lastIndexOf('/') + 1)} of ${counted(counts.length, 'shard')}`),
  );
  await putJson(store, keys[of].settled, found);
}

/** Writes the weights of a shard: what all steps say of its examples. */
async function weigh(of: StepOf): Promise<void> {
  const { store, plan, keys, part } = of;
  const verdicts = await verdictsOf(of, { embeddings: true });
  const weights = Float32Array.from(verdicts.codes, (_, i) => (verdicts.remains(i) || verdicts.isBroken(i) ? 1 : 0));
  if (plan.settings.balance) await weighBalanced(of, weights);
  for (const [i, weight] of weights.entries()) if (weight === 0) verdicts.mask(i, 'balance: its weight is 0');
  const { key, bytes, etag } = shardOf(of);
  const header = { shard: { key, bytes, etag }, filter: plan.filter, ...verdicts.counts };
  await putSame(store, keys.weights(part), encodeWeights(header, weights));
}
