import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { paths } from '../../runtime/paths.ts';
import { objectStoreFromEnvironment } from '../../storage/s3.ts';
import { openIndex } from '../index/open-index.ts';
import { patientReads } from '../index/patient-store.ts';
import { ShardCache } from '../index/shard-cache.ts';
import { BatchMaker } from './batch-maker.ts';
import type { LoaderSettings } from './batches.ts';
import { RowThreads } from './row-threads.ts';
import type { Texts } from './texts.ts';

/** What makes batches in a thread of a loader. `threads`: so many others make the rows for it, where it is not one. `texts`: null if it does them itself. */
export function makerOf(
  settings: LoaderSettings,
  note: (text: string) => void,
  { threads, texts }: { readonly threads: number; readonly texts: Texts | null },
): { readonly maker: BatchMaker; close(): Promise<void> } {
  const { index, plan, scores, env } = settings;
  const bucket = objectStoreFromEnvironment(env);
  const store = patientReads(bucket, note);
  const shards = new ShardCache(store, join(paths(env).scratch, 'shards'));
  const rows = threads > 1 ? new RowThreads(threads, settings, note) : null;
  const all = scores === null ? null : parsed(scores);
  return {
    maker: new BatchMaker(openIndex(parsed(index), store), plan, shards, all, {
      rows,
      texts,
      sharers: settings.threads,
    }),
    async close() {
      await rows?.close();
      bucket.close();
    },
  };
}

/** What was given itself, or as the name of a local file of JSON. */
function parsed<T extends object>(given: string | T): T {
  return typeof given === 'string' ? JSON.parse(readFileSync(given, 'utf8')) : given;
}
