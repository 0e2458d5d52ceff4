import { pMapIterable } from 'p-map';
import { weightsIn } from '../data/index/weight-file.ts';
import { comparePartition } from '../packing/compare.ts';
import { counted, outOf } from '../runtime/count-text.ts';
import { turns } from '../runtime/turns.ts';
import { toFloat32 } from '../safetensors/float-bytes.ts';
import { type Clusters, clusterOf, learnClusters, projected, projectedWidth } from './clusters.ts';
import { EmbeddingPartition, type PlacedRow, rowFile } from './embedding-partition.ts';
import { startsOf } from './plan.ts';
import { countsOf, putJson, type StepOf, verdictsOf } from './step.ts';

/** Objects that are read side by side. */
const readAtOnce = 16;

/** Learns clusters from the sampled rows of all shards. */
export async function centroids({ store, plan, keys, doing }: StepOf): Promise<void> {
  const samples: Float32Array[] = [];
  const read = pMapIterable(plan.index.shards.keys(), (n) => store.get(keys.sample(n)), { concurrency: readAtOnce });
  for await (const bytes of read) {
    samples.push(weightsIn(bytes));
    doing(`reading rows of ${counted(samples.length, 'shard')} to learn clusters from`);
  }
  const rows = new Float32Array(samples.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const sample of samples) {
    rows.set(sample, at);
    at += sample.length;
  }
  const wait = turns();
  const { tops, leaves, coarse, fine } = await learnClusters(rows, plan.index.examples, async () => {
    await wait();
    doing(`learning clusters from ${rows.length / projectedWidth} rows`);
  });
  const head = Buffer.alloc(8);
  head.writeUInt32LE(tops, 0);
  head.writeUInt32LE(leaves, 4);
  await store.put(keys.centroids, Buffer.concat([head, bytesOf(coarse), bytesOf(fine)]));
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);

function clustersIn(bytes: Buffer): Clusters {
  const [tops, leaves] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
  const all = weightsIn(bytes.subarray(8));
  return { tops, leaves, coarse: all.slice(0, tops * projectedWidth), fine: all.slice(tops * projectedWidth) };
}

/** Cuts the rows of the examples of a shard that remain by their clusters. */
export async function assign(of: StepOf): Promise<void> {
  const { store, plan, keys, part } = of;
  const clusters = clustersIn(await store.get(keys.centroids));
  const verdicts = await verdictsOf(of, { embeddings: false });
  const bytes = await store.get(keys.rows(part));
  const first = startsOf(plan)[part]!;
  const width = plan.model!.width;
  const placed: PlacedRow[] = [];
  const turn = turns();
  for (let i = 0; i < verdicts.codes.length; i++) {
    if (!verdicts.remains(i)) continue;
    const row = Uint8Array.from(bytes.subarray(i * width * 2, (i + 1) * width * 2));
    const values = new Float32Array(toFloat32(row, 'BF16').buffer);
    placed.push({ cluster: clusterOf(clusters, projected(values, width), 0), id: first + i, row });
    await turn();
  }
  await store.put(keys.embeddings.hashes(part), rowFile(placed, plan.partitions, clusters.tops * clusters.leaves));
}

/** Compares the rows of the clusters of one partition. */
export async function compareEmbeddings({ store, plan, keys, part, doing }: StepOf): Promise<void> {
  const counts = countsOf(plan);
  const wait = turns();
  const partition = new EmbeddingPartition(plan.model!.width, plan.settings.embeddingDuplicates!.cosine, async () => {
    await wait();
    doing(`comparing embeddings, partition ${part}`);
  });
  await comparePartition(store, keys.embeddings, counts, part, partition, (shards) =>
    doing(`read embeddings of ${outOf(shards, counts.length, 'shard')}, partition ${part}`),
  );
  await putJson(store, keys.embeddings.compared(part), { crowded: partition.crowded });
}
