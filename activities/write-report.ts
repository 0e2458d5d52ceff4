import { toDocument } from '../src/checkpoint/documents.ts';
import { historyKey, reportKey } from '../src/checkpoint/keys.ts';
import { reportPage } from '../src/report/page.ts';
import { readReport } from '../src/report/read/report.ts';
import { sha256 } from '../src/runtime/hash.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import type { HistoryInput, WrittenReport } from './types/phase-end.ts';

/**
 * Keeps what a workflow tells of a phase or of its run, and writes the page of the run anew from all that the bucket has.
 * Doing it again writes the same bytes, unless something has come to the bucket since. Cost: a read of all figures, and of the
 * evaluations' documents.
 */
export async function writeReport(
  { store, log }: Dependencies,
  { run, phase, events, spent }: HistoryInput,
  attempt: Attempt,
): Promise<WrittenReport> {
  const heart = beat(attempt);
  try {
    const history = toDocument({ version: 1, events, ...(spent && { spent }) });
    await store.put(historyKey({ run, phase }), history, { contentType: 'application/json' });
    const page = Buffer.from(reportPage(await readReport(store, run)));
    const key = reportKey(run);
    await store.put(key, page, { contentType: 'text/html; charset=utf-8' });
    log.info({ run, key, bytes: page.length }, 'report written');
    return { key, uri: `s3://${store.bucket}/${key}`, bytes: page.length, sha256: sha256(page) };
  } finally {
    heart.stop();
  }
}
