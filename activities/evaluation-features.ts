import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PartFacts, PartFile } from '../src/evaluate/features/part-file.ts';
import {
  type ClassSpec,
  classParts,
  featureKey,
  type ImageSpec,
  imageParts,
  specHash,
} from '../src/evaluate/features/spec.ts';
import type { TaskPlan } from '../src/evaluate/task-plan.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { FeatureSetName } from './types/evaluation.ts';

/** What the features of a set are made by. */
export function specOf(plan: TaskPlan, set: FeatureSetName): ImageSpec | ClassSpec {
  const spec = set === 'classes' ? plan.classes : plan[set]?.spec;
  if (!spec) throw new Error(`the evaluation has no ${set}`);
  return spec;
}

const foldersOf = (scratch: string) => join(scratch, 'features');
const folderOf = (scratch: string, spec: ImageSpec | ClassSpec) =>
  join(foldersOf(scratch), specHash(spec).slice(0, 32));

/**
 * The parts of these specs as local files, fetched once for all evaluators of a task; those of other tasks go. One caller at a
 * time in a folder: a device does one thing at a time, and each of several has a folder of its own.
 */
export async function fetchFeatures(
  store: ObjectStore,
  scratch: string,
  specs: readonly (ImageSpec | ClassSpec)[],
  signal: AbortSignal,
): Promise<Map<ImageSpec | ClassSpec, string[]>> {
  const wanted = new Set(specs.map((spec) => folderOf(scratch, spec)));
  await mkdir(foldersOf(scratch), { recursive: true });
  for (const name of await readdir(foldersOf(scratch))) {
    const folder = join(foldersOf(scratch), name);
    if (!wanted.has(folder)) await rm(folder, { recursive: true, force: true });
  }
  const files = new Map<ImageSpec | ClassSpec, string[]>();
  for (const spec of specs) {
    const count = 'names' in spec ? classParts(spec) : imageParts(spec);
    const own: string[] = [];
    for (let part = 0; part < count; part++) {
      signal.throwIfAborted();
      own.push(await fetchPart(store, folderOf(scratch, spec), spec, part));
    }
    files.set(spec, own);
  }
  return files;
}

async function fetchPart(
  store: ObjectStore,
  folder: string,
  spec: ImageSpec | ClassSpec,
  part: number,
): Promise<string> {
  const file = join(folder, `${part}.safetensors`);
  if (await stat(file).catch(() => null)) return file;
  await mkdir(folder, { recursive: true });
  // Flushed before it has its name: what a machine that lost its power left half would be taken for damage in the bucket.
  await writeFile(`${file}.part`, await store.get(featureKey(spec, part)), { flush: true });
  await rename(`${file}.part`, file);
  return file;
}

/** What the part in the bucket says of itself, verified; null when there is none. DataContract when it is damaged. */
export async function storedPart(
  store: ObjectStore,
  folder: string,
  spec: ImageSpec | ClassSpec,
  part: number,
  key = featureKey(spec, part),
): Promise<PartFacts | null> {
  if (!(await store.head(key))) return null;
  const file = join(folder, 'stored.safetensors');
  await mkdir(folder, { recursive: true });
  await writeFile(file, await store.get(key));
  const opened = await PartFile.open(file, { spec: specHash(spec), part, key });
  await opened.close();
  return opened.facts;
}
