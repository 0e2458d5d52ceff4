import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CommitOutcome, commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { toDocument } from '../../src/checkpoint/documents.ts';
import { commitKey } from '../../src/checkpoint/keys.ts';
import { pullCheckpoint } from '../../src/checkpoint/pull.ts';
import { restoreCheckpoint } from '../../src/checkpoint/restore.ts';
import type { Manifest } from '../../src/checkpoint/types.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { type Fault, startFaultProxy } from '../storage/fault-proxy.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { makeSnapshot } from './snapshot.ts';

let server: TestServer;
let store: S3ObjectStore;
let folder: string;
beforeAll(async () => {
  server = await startServer();
  store = server.store();
});
afterAll(() => server.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-restore-'));
  return () => rm(folder, { recursive: true, force: true });
});

let counter = 0;
async function committed(step = 400, options?: { seed?: number; floats?: number }): Promise<CommitOutcome> {
  return commitCheckpoint(store, await makeSnapshot({ run: `restore-${counter++}`, step, attempt: 'a' }, options));
}

/** A store that counts the bytes that are read, and whose connection breaks after `most` of them. */
function counting(most = Number.POSITIVE_INFINITY): { store: S3ObjectStore; read: () => number } {
  let read = 0;
  const counted = Object.create(store, {
    head: { value: store.head.bind(store) },
    small: {
      value: async (...args: Parameters<S3ObjectStore['small']>) => {
        const found = await store.small(...args);
        if (args[0].endsWith('.safetensors')) read += found?.body?.length ?? 0;
        return found;
      },
    },
    get: {
      value: async (...args: Parameters<S3ObjectStore['get']>) => {
        if (args[0].endsWith('.safetensors') && read >= most) throw new Error('the link broke');
        const bytes = await store.get(...args);
        if (args[0].endsWith('.safetensors')) read += bytes.length;
        return bytes;
      },
    },
  });
  return { store: counted, read: () => read };
}

describe('restoring', () => {
  test('every file is there with the bytes that were committed', async () => {
    const { ref } = await committed();
    const { manifest } = await restoreCheckpoint(store, ref, join(folder, 'new', 'place'));
    expect((await readdir(join(folder, 'new', 'place'))).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'training-moments.safetensors',
    ]);
    for (const file of [...manifest.state, ...manifest.sidecars])
      expect(sha256(await readFile(join(folder, 'new', 'place', file.path)))).toBe(file.sha256);
    const model = await SafetensorsFile.open(join(folder, 'new', 'place', 'model.safetensors'));
    expect((await model.readFloats('vision')).slice(0, 2)).toEqual(Float32Array.from([406, 407]));
    await model.close();
  });

  test('what the caller wrote is not read again where its hashes are right, and else as what lay there', async () => {
    const { ref } = await committed();
    const { manifest } = await restoreCheckpoint(store, ref, folder);
    const [model, moments] = ['model', 'training-moments'].map((name) => `${name}.safetensors`) as [string, string];
    for (const path of [model, moments]) await writeFile(join(folder, path), 'other bytes');
    const written = manifest.state.map((file) => (file.path === moments ? { ...file, sha256: 'f'.repeat(64) } : file));
    const fetched: string[] = [];
    await restoreCheckpoint(store, ref, folder, { written, onFile: ({ path }) => void fetched.push(path) });
    expect(fetched).toEqual([moments]);
    expect(await readFile(join(folder, model), 'utf8')).toBe('other bytes');
  });

  test('a folder that verifies is used as it is, and only the wanted files are fetched', async () => {
    const { ref } = await committed();
    const first = counting();
    await restoreCheckpoint(first.store, ref, folder, { files: (file) => file.path === 'model.safetensors' });
    expect(await readdir(folder)).toEqual(['model.safetensors']);
    expect(first.read()).toBe(8176);
    const second = counting();
    await restoreCheckpoint(second.store, ref, folder);
    expect(second.read()).toBe(8168);
    const third = counting(0);
    await restoreCheckpoint(third.store, ref, folder);
    expect(third.read()).toBe(0);
  });

  test('a local file that rotted is fetched again', async () => {
    const { ref } = await committed();
    await restoreCheckpoint(store, ref, folder);
    const path = join(folder, 'model.safetensors');
    const { mtime } = await stat(path);
    const bytes = await readFile(path);
    bytes[5000]! ^= 1;
    await writeFile(path, bytes);
    await utimes(path, mtime, mtime);
    await restoreCheckpoint(store, ref, folder);
    bytes[5000]! ^= 1;
    expect(await readFile(path)).toEqual(bytes);
  });

  test('a broken download goes on where it stopped', async () => {
    // 24 MB in two tensors: the model file comes in three ranges.
    const { ref, commit } = await committed(400, { floats: 3_000_000 });
    const files = { files: (file: { path: string }) => file.path === 'model.safetensors' };
    const broken = counting(16 * 1024 * 1024);
    await expect(restoreCheckpoint(broken.store, ref, folder, files)).rejects.toThrow('the link broke');
    expect((await readdir(folder)).map((name) => name.replace(/[0-9a-f]{16}/, '#'))).toEqual([
      'model.safetensors.#.part',
    ]);
    const resumed = counting();
    const { manifest } = await restoreCheckpoint(resumed.store, ref, folder, files);
    const { bytes } = manifest.state[0]!;
    expect(resumed.read()).toBe(bytes - 16 * 1024 * 1024);
    expect(await readdir(folder)).toEqual(['model.safetensors']);

    // What was left may itself be wrong: then it is fetched whole, once.
    await rm(join(folder, 'model.safetensors'));
    const part = `model.safetensors.${manifest.state[0]?.sha256.slice(0, 16)}.part`;
    await writeFile(join(folder, part), Buffer.alloc(1000, 7));
    const again = counting();
    await restoreCheckpoint(again.store, commit, folder, files);
    expect(again.read()).toBe(bytes - 1000 + bytes);
    expect(await readdir(folder)).toEqual(['model.safetensors']);
  });

  test('a server that dies during a download and comes back loses nothing', async () => {
    const { ref } = await committed(400, { floats: 3_000_000 });
    let files = 0;
    const dying = Object.create(store, {
      head: { value: store.head.bind(store) },
      small: { value: store.small.bind(store) },
      get: {
        value: async (...args: Parameters<S3ObjectStore['get']>) => {
          if (args[0].endsWith('.safetensors') && ++files === 3) await server.kill();
          return store.get(...args);
        },
      },
    });
    await expect(restoreCheckpoint(dying, ref, folder)).rejects.toMatchObject({ code: 'StorageUnavailable' });
    await server.restart();
    const resumed = counting();
    const { manifest } = await restoreCheckpoint(resumed.store, ref, folder);
    expect(resumed.read()).toBeLessThan(manifest.state.reduce((sum, file) => sum + file.bytes, 0));
    expect(resumed.read()).toBeGreaterThan(0);
  });

  test.each(['model.safetensors', 'training-moments.safetensors', 'config.json'])(
    'a flipped byte in %s is CheckpointDamaged and names the object and the step',
    async (path) => {
      const { ref } = await committed();
      const key = ref.prefix + path;
      const bytes = await store.get(key);
      bytes[bytes.length >> 1]! ^= 1;
      await store.put(key, bytes);
      const restore = restoreCheckpoint(store, ref, folder);
      await expect(restore).rejects.toMatchObject({ code: 'CheckpointDamaged', details: { step: 400, object: key } });
      await expect(restore).rejects.toThrow(/has the sha256 [0-9a-f]{64}, and [0-9a-f]{64} was committed/);
      expect((await readdir(folder)).filter((name) => name.startsWith(path))).toEqual([]);
    },
  );

  test('one bad answer is asked again: a byte that turned over above 8 MB, a 404 of commit, manifest or file', async () => {
    const { ref, commit } = await committed(400, { floats: 3_000_000 });
    const proxy = await startFaultProxy(server.endpoint);
    const doubtful = server.store({ endpoint: proxy.endpoint });
    const on =
      (start: string): Fault['at'] =>
      ({ line }) =>
        line.startsWith(start);
    const missing = { status: 404, code: 'NoSuchKey' };
    proxy.faults = [
      { at: on(`GET /test/${commitKey(commit)}`), act: missing },
      { at: on(`GET /test/${ref.prefix}manifest.json`), act: missing },
      { at: on(`HEAD /test/${ref.prefix}training-moments.safetensors`), act: missing },
      { at: on(`GET /test/${ref.prefix}model.safetensors`), act: 'flip' },
    ];
    try {
      expect(await readCommit(doubtful, commit)).toEqual(commit);
      const { manifest } = await restoreCheckpoint(doubtful, ref, folder);
      for (const file of manifest.state) expect(sha256(await readFile(join(folder, file.path)))).toBe(file.sha256);
      const asked = (start: string) => proxy.lines.filter((line) => line.startsWith(start)).length;
      expect(asked(`GET /test/${commitKey(commit)}`)).toBe(2);
      // Three ranges, twice.
      expect(asked(`GET /test/${ref.prefix}model.safetensors`)).toBe(6);
    } finally {
      await proxy.close();
    }
  });

  test('an object that is missing or cut short is damage too', async () => {
    const { ref } = await committed();
    const key = `${ref.prefix}model.safetensors`;
    const bytes = await store.get(key);
    await store.put(key, bytes.subarray(0, 100));
    await expect(restoreCheckpoint(store, ref, folder)).rejects.toThrow(
      'model.safetensors has 100 bytes, and 8176 were committed',
    );
    await store.delete(key);
    await expect(restoreCheckpoint(store, ref, folder)).rejects.toThrow('model.safetensors is missing');
  });
});

describe('manifests that lie', () => {
  /** A checkpoint whose manifest says something else, with a commit that agrees with it. */
  async function lying(change: (manifest: Record<string, unknown> & Manifest) => unknown) {
    const { ref } = await committed();
    const key = `${ref.prefix}manifest.json`;
    const manifest = JSON.parse(String(await store.get(key)));
    const changed = change(manifest) ?? manifest;
    const bytes = typeof changed === 'string' ? Buffer.from(changed) : toDocument(changed);
    await store.put(key, bytes);
    return { ...ref, manifestSha256: sha256(bytes) };
  }
  const file = (path: string) => ({ path, bytes: 24, sha256: sha256('x') });

  test.each<[string, (manifest: Record<string, unknown> & Manifest) => unknown, string]>([
    ['text', () => 'nonsense', 'it is not JSON'],
    ['a list', () => '[]', 'expected object'],
    ['another version', (m) => ({ ...m, version: 2 }), 'version'],
    ['a path to the parent folder', (m) => ({ ...m, sidecars: [file('../../evil.json')] }), 'sidecars.0.path'],
    ['an absolute path', (m) => ({ ...m, sidecars: [file('/tmp/evil.json')] }), 'sidecars.0.path'],
    ['a path of another system', (m) => ({ ...m, sidecars: [file('..\\evil.json')] }), 'sidecars.0.path'],
    ['a hidden file', (m) => ({ ...m, sidecars: [file('.bashrc')] }), 'sidecars.0.path'],
    ['dots within a path', (m) => ({ ...m, sidecars: [file('a/../../b')] }), 'sidecars.0.path'],
    ['an empty segment', (m) => ({ ...m, sidecars: [file('a//b')] }), 'sidecars.0.path'],
    ['a NUL in a path', (m) => ({ ...m, sidecars: [file('a\0b')] }), 'sidecars.0.path'],
    ['a file that is there twice', (m) => ({ ...m, sidecars: [file('a'), file('a')] }), 'it names a twice'],
    ['a file that is a folder too', (m) => ({ ...m, sidecars: [file('a'), file('a/b')] }), 'both a file and a folder'],
    ['itself', (m) => ({ ...m, sidecars: [file('manifest.json')] }), 'it names manifest.json twice'],
    ['a negative size', (m) => ({ ...m, sidecars: [{ ...file('a'), bytes: -1 }] }), 'sidecars.0.bytes'],
    ['a size beyond the whole numbers', (m) => ({ ...m, sidecars: [{ ...file('a'), bytes: 2 ** 60 }] }), 'bytes'],
    ['no state', (m) => ({ ...m, state: [] }), 'state'],
    ['10,001 files', (m) => ({ ...m, sidecars: Array.from({ length: 10_001 }, (_, i) => file(`f${i}`)) }), 'sidecars'],
    ['a hash that is none', (m) => ({ ...m, sha256: 'abc' }), 'sha256'],
    ['the hash of other state', (m) => ({ ...m, sha256: sha256('other') }), 'is not that of its state files'],
    ['a prefix elsewhere', (m) => ({ ...m, prefix: 'runs/other/' }), 'its prefix is not that of its attempt'],
    [
      'another step',
      (m) => ({ ...m, step: 500, prefix: m.prefix.replace('400', '500') }),
      'another step than the commit',
    ],
    ['other examples', (m) => ({ ...m, examples: 1 }), 'has another examples than the commit'],
  ])('one with %s is CheckpointDamaged', async (_, change, problem) => {
    const ref = await lying(change);
    const restore = restoreCheckpoint(store, ref, folder);
    await expect(restore).rejects.toMatchObject({ code: 'CheckpointDamaged', details: { step: 400 } });
    await expect(restore).rejects.toThrow(problem);
    expect(await readdir(folder)).toEqual([]);
  });

  test('a reference that points elsewhere is not followed', async () => {
    const { ref } = await committed();
    for (const prefix of ['runs/other/', `${ref.prefix}../`, ref.prefix.slice(0, -1), '../../etc/'])
      await expect(restoreCheckpoint(store, { ...ref, prefix }, folder)).rejects.toThrow(
        'does not lie where a checkpoint of this step belongs',
      );
    await expect(restoreCheckpoint(store, { ...ref, run: '..' }, folder)).rejects.toMatchObject({
      code: 'RecipeInvalid',
    });
  });
});

describe('pulling', () => {
  const tokenizer = ['special_tokens_map.json', 'tokenizer.json', 'tokenizer_config.json'];
  const pulled = ['README.md', 'config.json', 'manifest.json', 'model.safetensors', ...tokenizer];
  const run = 'pulled';
  const log: string[] = [];
  const options = { log: (line: string) => log.push(line) };
  beforeAll(async () => {
    for (const [phase, step] of [
      ['pretrain', 100],
      ['pretrain', 200],
      ['distill', 50],
    ] as const)
      await commitCheckpoint(store, await makeSnapshot({ run, phase, step, attempt: 'a' }));
  });
  beforeEach(() => {
    log.length = 0;
  });

  test('a step, the newest of a phase, and the newest of all', async () => {
    expect(await pullCheckpoint(store, `${run}/pretrain@100`, folder, options)).toMatchObject({ step: 100 });
    expect((await readdir(folder)).sort()).toEqual(pulled);
    const card = await readFile(join(folder, 'README.md'), 'utf8');
    expect(card).toContain('phase pretrain,\nstep 100, 25600 examples seen');
    expect(card).toContain('padding="max_length", max_length=4, truncation=True');
    const tokenizer = JSON.parse(await readFile(join(folder, 'tokenizer_config.json'), 'utf8'));
    expect(tokenizer).toMatchObject({ model_max_length: 4, processor_class: 'SiglipProcessor' });
    expect(log[0]).toMatch(/^fetching pulled\/pretrain@100 of 2\d{3}-.* into /);
    expect(await pullCheckpoint(store, `${run}/pretrain`, folder)).toMatchObject({ step: 200 });
    log.length = 0;
    expect(await pullCheckpoint(store, run, folder, { ...options, training: true })).toMatchObject({
      phase: 'distill',
      step: 50,
    });
    expect(await readdir(folder)).toContain('training-moments.safetensors');
    expect(log[0]).toBe('pulled has the phases distill, pretrain; distill committed last, pulled/PHASE takes another');
  });

  test('what is not there is one clear sentence', async () => {
    for (const what of ['nobody', `${run}/res-384`, `${run}/pretrain@150`])
      await expect(pullCheckpoint(store, what, folder)).rejects.toMatchObject({ code: 'ObjectMissing' });
    for (const what of ['', '..', 'a/b/c', 'run@100', 'run/phase@', 'run/phase@-1', 'run/../x', 'a b'])
      await expect(pullCheckpoint(store, what, folder)).rejects.toThrow('type RUN, RUN/PHASE or RUN/PHASE@STEP');
  });

  test('two at once into one folder take turns, and each ends with what it asked for', async () => {
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const pulls = [200, 100].map((step) => pullCheckpoint(store, `${run}/pretrain@${step}`, folder, { log }));
    expect((await Promise.all(pulls)).map(({ step }) => step)).toEqual([200, 100]);
    expect(lines.filter((line) => line.startsWith('another pull is at'))).toHaveLength(1);
    expect((await readdir(folder)).sort()).toEqual(pulled);
    const { step, state } = JSON.parse(String(await readFile(join(folder, 'manifest.json')))) as Manifest;
    expect([100, 200]).toContain(step);
    expect(await readFile(join(folder, 'README.md'), 'utf8')).toContain(`step ${step}, `);
    expect(sha256(await readFile(join(folder, 'model.safetensors')))).toBe(state[0]?.sha256);
  });

  test('a folder that can not be written to is one clear sentence', async () => {
    await writeFile(join(folder, 'file'), '');
    for (const [target, code] of [
      ['/proc/siglip2', 'ENOENT'],
      [join(folder, 'file'), 'ENOTDIR'],
      [join(folder, 'file', 'below'), 'ENOTDIR'],
    ] as const)
      await expect(pullCheckpoint(store, run, target)).rejects.toThrow(
        `${target} can't be written to (${code}); name a folder that can, on a disk with room`,
      );
  });

  test('a run falls back to the newest that verifies and says so; a step that is damaged fails', async () => {
    const key = `runs/${run}/distill/r0/step-00000050-a/model.safetensors`;
    const bytes = await store.get(key);
    bytes[100]! ^= 1;
    await store.put(key, bytes);
    expect(await pullCheckpoint(store, run, folder, options)).toMatchObject({ phase: 'pretrain', step: 200 });
    expect(log.find((line) => line.includes('falling back'))).toMatch(
      /^checkpoint pulled\/distill@50 is damaged: .*model\.safetensors has the sha256 .*; falling back to an older one$/,
    );
    await expect(pullCheckpoint(store, `${run}/distill@50`, folder)).rejects.toMatchObject({
      code: 'CheckpointDamaged',
    });
    await expect(pullCheckpoint(store, `${run}/distill`, folder)).rejects.toThrow('every checkpoint of pulled/distill');
  });
});
