import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogOf, LogReader, type ReadLine } from '../../src/run-logs/read.ts';
import { RunLogs, type RunLogsOptions } from '../../src/run-logs/run-logs.ts';
import { redactor } from '../../src/runtime/secrets.ts';
import type { ObjectInfo } from '../../src/storage/object-store.ts';
import { MemoryStore } from '../data/memory-store.ts';

/** A store whose objects were all written a second ago, and which can be away. */
export class LogStore extends MemoryStore {
  away = false;
  puts = 0;

  override async put(...given: Parameters<MemoryStore['put']>) {
    if (this.away) throw new Error('the store is away');
    this.puts++;
    return super.put(...given);
  }

  override async head(key: string): Promise<ObjectInfo | null> {
    const found = await super.head(key);
    return found && { ...found, modified: new Date(Date.now() - 1000) };
  }
}

export const speaker = { activity: 'trainShard', attempt: '3-1-abcd', number: 1 };
export const place = { run: 'pets', phase: 'pretrain' };

/** A disk and a bucket, and workers that have both. */
export function logsHere() {
  const folder = mkdtempSync(join(tmpdir(), 'run-logs-'));
  const store = new LogStore();
  const said: string[] = [];
  return {
    folder,
    store,
    said,
    open: async (changes: Partial<RunLogsOptions> = {}) =>
      (await RunLogs.open({
        store,
        folder,
        code: '1.2.3',
        redact: redactor([]),
        say: (_, fields, text) => void said.push(`${text} ${JSON.stringify(fields)}`),
        ...changes,
        limits: { retryMs: 5, ...changes.limits },
      }))!,
    read: (of: LogOf = place) => linesOf(new LogReader(store, of)),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export async function linesOf(reader: LogReader, since?: number): Promise<ReadLine[]> {
  const lines: ReadLine[] = [];
  for await (const line of reader.look(since)) lines.push(line);
  return lines;
}

export const texts = (lines: readonly ReadLine[]) => lines.map(({ text }) => text);
