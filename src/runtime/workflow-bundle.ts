import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type Logger } from '@temporalio/worker';
import { hashJson, sha256 } from './hash.ts';
import { makeOwnFolder } from './make-folder.ts';
import { paths } from './paths.ts';

export interface BundleOptions {
  /** The module that exports the workflows. */
  readonly workflowsPath: string;
  readonly failureConverterPath?: string | undefined;
  readonly logger: Logger;
  /** Where bundles are kept; by default `workflows` in the cache of set-up. */
  readonly folder?: string;
}

/** What a kept bundle follows from, beside what names it: contents of files by their paths, and what made it of them. */
interface Origin {
  readonly bundler: string;
  readonly files: Readonly<Record<string, string>>;
}

/**
 * The workflows as one script, for a worker's `workflowBundle`. Making it takes two seconds of a core, so it is kept on the
 * disk, and taken from there while every file that it was made of is the same. A file that is damaged, or a folder that
 * can't be written, costs that time and nothing else. There is one bundle for each checkout, of some 3 MB.
 */
export async function workflowBundle(options: BundleOptions): Promise<{ readonly code: string }> {
  const { workflowsPath, failureConverterPath, logger, folder = join(paths().cache, 'workflows') } = options;
  const file = join(folder, `${hashJson({ workflowsPath, failureConverterPath })}.bundle`);
  const bundler = bundlerHash();
  const kept = quietly(() => readBundle(file, bundler));
  if (kept) return kept;
  const read = new Set<string>();
  const begun = Date.now();
  const bundle = await bundleWorkflowCode({
    workflowsPath,
    ...(failureConverterPath && { failureConverterPath }),
    logger,
    webpackConfigHook: (config) => ({
      ...config,
      plugins: [
        ...(config.plugins ?? []),
        (compiler) =>
          compiler.hooks.done.tap('siglip2', ({ compilation }) => {
            for (const path of compilation.fileDependencies) read.add(path);
          }),
      ],
    }),
  });
  quietly(() => {
    makeOwnFolder(folder, 'SIGLIP2_CACHE');
    // The entry point is in memory alone, and says nothing but the paths that name the bundle; folders say nothing.
    const files = [...read].sort().filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
    // Which of the two a file was when it was read can't be told.
    if (files.some((path) => statSync(path).mtimeMs >= begun)) return;
    const hashes = files.map((path) => [path, sha256(readFileSync(path))]);
    const origin: Origin = { bundler, files: Object.fromEntries(hashes) };
    const content = `${JSON.stringify(origin)}\n${bundle.code}`;
    const part = `${file}.${process.pid}.part`;
    writeFileSync(part, sha256(content) + content, { mode: 0o600 });
    renameSync(part, file);
  });
  return bundle;
}

/** The kept bundle, or null where one of its files is another now. Throws where there is none. */
function readBundle(file: string, bundler: string): { readonly code: string } | null {
  const text = readFileSync(file, 'utf8');
  const content = text.slice(64);
  if (sha256(content) !== text.slice(0, 64)) return null;
  const end = content.indexOf('\n');
  const origin = JSON.parse(content.slice(0, end)) as Origin;
  if (origin.bundler !== bundler) return null;
  // Imports name whole files, so that a new file can't come between.
  const same = Object.entries(origin.files).every(([path, hash]) => sha256(readFileSync(path)) === hash);
  return same ? { code: content.slice(end + 1) } : null;
}

/** What makes the bundle: the packages as they are pinned, and this file's options for them. */
function bundlerHash(): string {
  const own = [new URL('../../package-lock.json', import.meta.url), new URL(import.meta.url)];
  return hashJson([process.version, ...own.map((url) => sha256(readFileSync(fileURLToPath(url))))]);
}

function quietly<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}
