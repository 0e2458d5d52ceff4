import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { askCommand } from './notice-command.ts';
import { UrlNotice } from './notice-url.ts';
import type { NoticeOptions } from './rules.ts';

/** Where a notice may come from. */
export interface NoticeSource {
  /** For the log; credentials of an address are not in it. */
  readonly name: string;
  readonly everyMs: number;
  /** What the notice says, or null while there is none. Throws when it can't be looked. */
  look(): Promise<string | null>;
}

export interface NoticeWatch {
  readonly signal: AbortSignal;
  /** Told once for each time that looking begins to fail. */
  readonly onTrouble: (source: string, error: Error) => void;
  readonly onNotice: (why: string) => void;
}

export function noticeSources({ file, url, command }: NoticeOptions): NoticeSource[] {
  const sources: NoticeSource[] = [];
  if (file !== undefined)
    sources.push({ name: file, everyMs: 2000, look: async () => (existsSync(file) ? 'the file is there' : null) });
  if (url !== undefined) {
    const asked = new UrlNotice(url);
    sources.push({ name: asked.name, everyMs: 2000, look: () => asked.look() });
  }
  if (command !== undefined)
    sources.push({ name: 'the command of --notice-command', everyMs: 5000, look: () => askCommand(command) });
  return sources;
}

/** Looks at each source until one has a notice, or the signal. A source that can't be looked at is looked at again. */
export async function watchNotices(sources: readonly NoticeSource[], watch: NoticeWatch): Promise<void> {
  const { signal, onTrouble, onNotice } = watch;
  const seen = new AbortController();
  const over = AbortSignal.any([signal, seen.signal]);
  await Promise.all(
    sources.map(async ({ name, everyMs, look }) => {
      let failed = false;
      while (!over.aborted) {
        try {
          const notice = await look();
          failed = false;
          if (notice !== null && !over.aborted) {
            seen.abort();
            onNotice(`${name}: ${notice}`);
          }
        } catch (error) {
          if (!failed) onTrouble(name, error as Error);
          failed = true;
        }
        await delay(everyMs, undefined, { signal: over }).catch(() => {});
      }
    }),
  );
}
