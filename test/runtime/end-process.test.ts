import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const megabytes = 5;
const line = 'a line of eighty characters, the last of which is the one that ends it as a line\n';

/** A process that prints `megabytes` as commands do, keeps a timer as libraries do, and ends. */
function start(stdout: 'pipe' | number) {
  const script = `
    import { print } from './src/commands/output.ts';
    import { endProcess, isRead } from './src/runtime/end-process.ts';
    setInterval(() => {}, 1000);
    for (let i = 0; i * ${line.length} < ${megabytes}e6; i++) print(${JSON.stringify(line)});
    await new Promise((resolve) => setTimeout(resolve, 300));
    process.stderr.write(isRead() ? 'read' : 'not read');
    await endProcess();`;
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: root,
    stdio: ['ignore', stdout, 'pipe'],
  });
}

const ended = (child: ReturnType<typeof start>) => {
  let said = '';
  child.stderr!.on('data', (data) => {
    said += data;
  });
  return new Promise<{ code: number | null; said: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, said })),
  );
};

describe('endProcess', () => {
  it('lets a slow reader have all of 5 MB, and ends though a timer still runs', async () => {
    const child = start('pipe');
    const end = ended(child);
    const hash = createHash('sha256');
    let bytes = 0;
    // Far slower than it is written: the process has ended its work long before.
    for await (const chunk of child.stdout!) {
      hash.update(chunk);
      bytes += chunk.length;
      await delay(5);
    }
    const whole = line.repeat(Math.ceil((megabytes * 1e6) / line.length));
    expect(await end).toEqual({ code: 0, said: 'read' });
    expect(bytes).toBe(whole.length);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(whole).digest('hex'));
  });

  it('ends quietly when the reader has seen enough', async () => {
    const child = start('pipe');
    const end = ended(child);
    child.stdout!.once('data', () => child.stdout!.destroy());
    expect(await end).toEqual({ code: 0, said: 'not read' });
  });

  it('fails in a sentence when the disk that the output goes to is full', async () => {
    const full = openSync('/dev/full', 'w');
    const { code, said } = await ended(start(full));
    closeSync(full);
    expect(code).toBe(1);
    expect(said).toMatch(/^the output can't be written: ENOSPC[^\n]*\nnot read$/);
  });
});
