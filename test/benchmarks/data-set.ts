import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pack } from 'tar-stream';
import { afterAll } from 'vitest';
import type { Benchmark, Example, Fault } from '../../src/benchmarks/benchmark.ts';
import { localFiles } from '../../src/benchmarks/files.ts';

/** Files as Python, NumPy and Pillow wrote them: fixtures/make_files.py. */
export const fixture = JSON.parse(readFileSync(new URL('fixtures/files.json', import.meta.url), 'utf8'));
export const bytesOf = (base64: string): Buffer => Buffer.from(base64, 'base64');

/** A folder with these files. */
export function folderOf(files: Readonly<Record<string, string | Buffer>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'benchmarks-'));
  for (const [name, body] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), body);
  }
  return folder;
}

/** Makes folders of files for the tests of a file, and removes them at its end. */
export function folders(): (files: Parameters<typeof folderOf>[0]) => ReturnType<typeof localFiles> {
  const made: string[] = [];
  afterAll(() => {
    for (const folder of made) rmSync(folder, { recursive: true });
  });
  return (files) => {
    made.push(folderOf(files));
    return localFiles(made.at(-1)!);
  };
}

export async function tarOf(members: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, body] of Object.entries(members)) tar.entry({ name }, body);
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export async function allOf(benchmark: Benchmark): Promise<{ examples: Example[]; faults: Fault[] }> {
  const [examples, faults]: [Example[], Fault[]] = [[], []];
  for await (const found of benchmark.examples()) {
    if ('fault' in found) faults.push(found);
    else examples.push(found);
  }
  return { examples, faults };
}
