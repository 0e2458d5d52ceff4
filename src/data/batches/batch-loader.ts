import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { batchAt } from '../../recipe/steps.ts';
import { paths } from '../../runtime/paths.ts';
import { produce } from '../../runtime/produce.ts';
import { objectStoreFromEnvironment } from '../../storage/s3.ts';
import { openIndex } from '../index/open-index.ts';
import { patientReads } from '../index/patient-store.ts';
import { ShardCache } from '../index/shard-cache.ts';
import { BatchMaker } from './batch-maker.ts';
import type { LoaderSettings } from './batches.ts';
import type { Piece } from './types.ts';

/** The thread of `openBatches`: makes the pieces of batches in order. */
async function* pieces(
  { index, plan, scores, firstBatch, skip, bytes, env }: LoaderSettings,
  note: (text: string) => void,
): AsyncGenerator<Piece> {
  const store = patientReads(objectStoreFromEnvironment(env), note);
  const shards = new ShardCache(store, join(paths(env).scratch, 'shards'));
  const maker = new BatchMaker(openIndex(parsed(index), store), plan, shards, scores === null ? null : parsed(scores));
  let fetching = false;
  for (let position = firstBatch; ; position++) {
    const batch = batchAt(position, skip);
    // What goes wrong here goes wrong again, and is told, when the shard itself is needed.
    const fetchAhead = (row: number) => {
      if (fetching) return;
      fetching = true;
      const done = () => {
        fetching = false;
      };
      maker.fetchAhead(batch, row).then(done, done);
    };
    fetchAhead(0);
    for await (const piece of maker.pieces(batch, bytes)) {
      fetchAhead(piece.first);
      yield piece;
    }
  }
}

/** What was given itself, or as the name of a local file of JSON. */
function parsed<T extends object>(given: string | T): T {
  return typeof given === 'string' ? JSON.parse(readFileSync(given, 'utf8')) : given;
}

produce(pieces, ({ images, tokens, parts }) => [images, tokens, ...Object.values(parts)]);
