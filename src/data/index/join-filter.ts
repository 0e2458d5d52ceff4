import { counted } from '../../runtime/count-text.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { canonicalJson, hashJson } from '../../runtime/hash.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { type FilterDocument, readFilter } from './filter-document.ts';
import { memberKinds } from './index-object.ts';
import { openIndex } from './open-index.ts';
import type { DataIndex, WeightShard } from './types.ts';

/**
 * The same data with the weights that a filter gave their examples. One document is read, whatever the data are. DataContract
 * where the filter was made of other shards, of other bytes, or of other members of them. It may have more shards than these.
 */
export async function joinFilter(store: ObjectStore, index: DataIndex, name: string): Promise<DataIndex> {
  const document = await readFilter(store, name);
  const fail = (problem: string) =>
    new RunnerError('DataContract', `filter ${name} ${problem}; npm run siglip2 -- data filter makes it anew`);
  if (canonicalJson(document.members) !== canonicalJson(memberKinds(index.read)))
    throw fail(`was made of other members of the shards than are read here (${memberWords(document)})`);
  const known = new Map(document.shards.map((shard) => [shard.key, shard]));
  const weights = index.shards.map(({ key, etag, examples }): WeightShard => {
    const found = known.get(key);
    if (!found)
      throw fail(
        `was made of other data: of the ${counted(document.shards.length, 'shard')} that it has weights for none is ${key}`,
      );
    if (found.etag !== etag || found.examples !== examples)
      throw fail(`was made of other bytes than ${key} has now (ETag ${found.etag}, and it has ${etag})`);
    return { ...found.weights, kept: found.kept };
  });
  if (!weights.some(({ kept }) => kept > 0)) throw fail(`leaves out every example below ${index.prefix}/`);
  const fingerprint = hashJson([index.fingerprint, 'filter', weights.map(({ sha256 }) => sha256)]);
  return openIndex({ ...index.document, fingerprint, weights }, store);
}

const memberWords = ({ members }: FilterDocument) =>
  `.${members.meta}${members.class === undefined ? '' : ` and .${members.class}`}`;

/** How many examples a filter leaves, by the sum of their weights; null where none is joined. */
export function keptOf({ shards, weights }: Pick<DataIndex, 'shards' | 'weights'>): number | null {
  return weights?.reduce((sum, file, i) => sum + (file?.kept ?? shards[i]!.examples), 0) ?? null;
}
