import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Says what a long step is at: in place on a terminal, otherwise as a plain line every ten seconds. Always on
 * stderr, since stdout belongs to the command that a person typed.
 */
export interface Progress {
  /** Shows `what` with the elapsed time, and `amount()` where it is known, until the work is over. */
  during<T>(what: string, work: () => Promise<T>, amount?: () => Promise<string>): Promise<T>;
  say(line: string): void;
}

export const silent: Progress = { during: (_what, work) => work(), say: () => {} };

export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  const clear = () => stream.isTTY && stream.write('\r\u001b[2K');
  const say = (line: string) => {
    clear();
    stream.write(`${line}\n`);
  };
  return {
    say,
    async during(what, work, amount) {
      const began = Date.now();
      const seconds = () => `${Math.round((Date.now() - began) / 1000)} s`;
      const line = async () => [what, await amount?.().catch(() => ''), seconds()].filter(Boolean).join('  ');
      const show = async () => (stream.isTTY ? stream.write(`\r\u001b[2K${await line()}`) : say(await line()));
      if (!stream.isTTY) say(what);
      const timer = setInterval(() => void show(), stream.isTTY ? 500 : 10_000);
      try {
        const result = await work();
        clearInterval(timer);
        say(`${what}: done in ${seconds()}`);
        return result;
      } finally {
        clearInterval(timer);
      }
    },
  };
}

/** Megabytes in a folder, as text: how far a download has come. */
export async function folderMegabytes(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        stat(join(entry.parentPath, entry.name)).then(
          (found) => found.size,
          () => 0,
        ),
      ),
  );
  return `${Math.round(sizes.reduce((sum, size) => sum + size, 0) / 1e6)} MB`;
}
