import { toBfloat16 } from '../safetensors/float-bytes.ts';
import { cosinesOf, type EmbeddedShard } from './agreement.ts';
import { projected, sampledOf } from './clusters.ts';
import { type FilterPlan, startsOf } from './plan.ts';

/** What is kept of the embeddings of a shard, as bytes; null: the filter does not look for duplicates by them. */
export interface KeptEmbeddings {
  /** float32 of every example. */
  readonly cosines: Buffer;
  /** (n, E) bfloat16 of the pictures. */
  readonly rows: Buffer | null;
  /** (k, 64) float32: projected rows that clusters are learned from. */
  readonly sample: Buffer | null;
}

/** What of the embeddings of shard `part` a filter goes on with. */
export function keptEmbeddings(plan: FilterPlan, part: number, shard: EmbeddedShard): KeptEmbeddings {
  const cosines = bufferOf(cosinesOf(shard));
  if (!plan.settings.embeddingDuplicates) return { cosines, rows: null, sample: null };
  const { images, width, examples, corrupt } = shard;
  const left = new Set(corrupt);
  const chosen = sampledOf(startsOf(plan)[part]!, examples, plan.index.examples).filter((i) => !left.has(i));
  const sampled = new Float32Array(chosen.length * width);
  for (const [to, from] of chosen.entries()) sampled.set(images.subarray(from * width, (from + 1) * width), to * width);
  return {
    cosines,
    rows: Buffer.from(toBfloat16(new Uint8Array(images.buffer, images.byteOffset, images.byteLength))),
    sample: bufferOf(projected(sampled, width)),
  };
}

const bufferOf = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);
