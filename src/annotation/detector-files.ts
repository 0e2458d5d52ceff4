import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readRange } from '../data/index/part-reader.ts';
import { RunnerError } from '../runtime/errors.ts';
import { hashJson } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { isDetectorFile, modelFiles, neededFiles } from './model-files.ts';

/** A detector as it was found: its files are what boxes depend on. */
export interface DetectorFiles {
  /** A prefix of the bucket, or an absolute path. */
  readonly place: string;
  /** `version`: the ETag in the bucket, the sha256 of a local file. */
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly version: string }[];
}

/** Of its files, wherever they lie. */
export const detectorHash = ({ files }: DetectorFiles): string => hashJson(files);

const isLocal = (place: string) => place.startsWith('/');
const partBytes = 8 * 1024 * 1024;

/** What a detector is made of. DataContract, with what lies there and what is needed, where it is none. */
export async function describeDetector(store: ObjectStore, place: string): Promise<DetectorFiles> {
  const found = isLocal(place) ? await listFolder(place) : await listPrefix(store, place);
  const names = new Set(found.map(({ name }) => name));
  const model = modelFiles((name) => names.has(name));
  const lacks = [...neededFiles.filter((name) => !names.has(name)), ...(model ? [] : ['model.onnx'])];
  if (lacks.length > 0) {
    const where = isLocal(place) ? `folder ${place}` : `s3://${store.bucket}/${place}/`;
    const there = found.length === 0 ? 'nothing lies there' : `there are ${[...names].slice(0, 8).join(', ')}`;
    throw new RunnerError(
      'DataContract',
      `detector: ${where} has no ${lacks.join(', ')}: ${there}; needed is OWL-ViT or OWLv2 as ONNX, as src/annotation/README.md says how to make it`,
    );
  }
  const own = found.filter(({ name }) => isDetectorFile(name, model!)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = [];
  for (const { name, bytes, version } of own)
    files.push({ name, bytes, version: version ?? (await hashOf(join(place, name))) });
  return { place, files };
}

interface Found {
  readonly name: string;
  readonly bytes: number;
  readonly version?: string;
}

async function listPrefix(store: ObjectStore, place: string): Promise<Found[]> {
  const found: Found[] = [];
  for await (const { key, bytes, etag } of store.list(`${place}/`)) {
    const name = key.slice(place.length + 1);
    if (/^(onnx\/)?[^/]+$/.test(name)) found.push({ name, bytes, version: etag });
  }
  return found;
}

async function listFolder(place: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const folder of ['', 'onnx/'])
    for (const entry of await readdir(join(place, folder)).catch(() => [])) {
      const info = await stat(join(place, folder, entry));
      if (info.isFile()) found.push({ name: `${folder}${entry}`, bytes: info.size });
    }
  return found;
}

/** Files of hundreds of megabytes are hashed once in a process, unless they are written anew. */
const hashes = new Map<string, string>();

async function hashOf(path: string): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  const key = `${path}\0${size}\0${mtimeMs}`;
  const known = hashes.get(key);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(part);
  const found = hash.digest('hex');
  hashes.set(key, found);
  return found;
}

/**
 * The local folder of a detector that was described: its own, where the files are those that were described, or one below
 * `scratch`, which is fetched once and appears whole.
 */
export async function fetchDetector(store: ObjectStore, detector: DetectorFiles, scratch: string): Promise<string> {
  const { place, files } = detector;
  if (isLocal(place)) {
    const here = await describeDetector(store, place);
    if (detectorHash(here) === detectorHash(detector)) return place;
    throw new RunnerError(
      'DataContract',
      `detector: folder ${place} of this worker is not the one that was planned with: put the same files there on every worker, or keep the detector in the bucket`,
    );
  }
  const folder = join(scratch, 'detectors', detectorHash(detector));
  if (await stat(folder).catch(() => null)) return folder;
  const partial = `${folder}.${randomUUID()}.part`;
  try {
    for (const { name, bytes, version } of files) {
      const path = join(partial, name);
      await mkdir(dirname(path), { recursive: true });
      await fetchObject(store, { key: `${place}/${name}`, bytes, etag: version }, path);
    }
    // Another attempt may have been first: what it fetched is the same.
    await rename(partial, folder).catch(async (error) => {
      if (!(await stat(folder).catch(() => null))) throw error;
    });
    return folder;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** An object of a known version as a local file, in parts. DataContract where it has changed or is gone. */
export async function fetchObject(
  store: ObjectStore,
  object: { readonly key: string; readonly bytes: number; readonly etag: string },
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let offset = 0; offset < object.bytes; offset += partBytes) {
      signal?.throwIfAborted();
      await file.write(await readRange(store, object, offset, Math.min(partBytes, object.bytes - offset)));
    }
    await file.datasync();
  } finally {
    await file.close();
  }
}
