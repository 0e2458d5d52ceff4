import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRunnerError } from '../../runtime/errors.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { runPrefix } from '../keys.ts';
import { evaluationsOf, type KeptEvaluation } from '../metrics-document.ts';
import type { Manifest } from '../types.ts';
import type { FolderFile } from './config.ts';
import { evalResultsFiles } from './eval-results.ts';
import { importPhase } from './import-phase.ts';
import { modelCard } from './model-card.ts';
import { readModelConfig } from './read-config.ts';
import { tokenizerFolderFiles } from './tokenizer.ts';

/**
 * Writes beside a checkpoint that was fetched what an export has and it has not, tokenizer, model card and figures, so that
 * AutoProcessor loads the folder. The card is that of the export, if there is one of this step: it has the figures.
 */
export async function completeFolder(store: ObjectStore, folder: string, manifest: Manifest): Promise<void> {
  const path = join(folder, 'config.json');
  if (!manifest.sidecars.some(({ path }) => path === 'config.json')) return;
  const config = readModelConfig(await readFile(path, 'utf8'), path);
  const files = await tokenizerFolderFiles(config);
  // What was made elsewhere has a card of its own.
  if (manifest.phase !== importPhase) {
    const { run, phase, step, dataFingerprint, sha256 } = manifest;
    const evaluations = await readable(evaluationsOf(store, manifest));
    files.push(
      ...evalResultsFiles(evaluations, { model: `${run}/${phase}@${step}`, sha256 }),
      (await exportedCard(store, manifest)) ??
        modelCard(config, {
          ...{ run, phase, step, examples: manifest.examples, evaluation: null },
          evaluations,
          checkpointUri: `s3://${store.bucket}/${manifest.prefix}`,
          checkpointSha256: manifest.sha256,
          codeVersion: manifest.codeVersion,
          recipeHash: manifest.recipeHash,
          precision: manifest.precision,
          resize: manifest.resize,
          data: { train: null, evaluation: null, fingerprint: dataFingerprint, licences: null },
        }),
    );
  }
  for (const { path, content } of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

/** Whoever may read checkpoints alone gets a card without figures. */
const readable = (evaluations: Promise<readonly KeptEvaluation[]>) =>
  evaluations.catch((error): readonly KeptEvaluation[] => {
    if (isRunnerError(error, 'CredentialsRefused')) return [];
    throw error;
  });

async function exportedCard(store: ObjectStore, { run, phase, step, sha256 }: Manifest): Promise<FolderFile | null> {
  const path = 'README.md';
  try {
    const bytes = await store.get(`${exportPrefix(run, phase, step)}${path}`);
    const content = bytes.toString('utf8');
    // Of a phase that was done again there may be another checkpoint of this step.
    return content.includes(sha256) ? { path, content } : null;
  } catch (error) {
    // Whoever may read checkpoints alone gets a card without figures.
    if (isRunnerError(error, 'ObjectMissing') || isRunnerError(error, 'CredentialsRefused')) return null;
    throw error;
  }
}

/** Where the export of a phase lies that ended at `step`. */
export const exportPrefix = (run: string, phase: string, step: number): string =>
  `${runPrefix(run)}export/${phase}-${step}/`;
