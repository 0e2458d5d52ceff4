import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimRun } from '../../src/checkpoint/claim.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { checkpointSidecars } from '../../src/checkpoint/hugging-face/config.ts';
import { estimate } from '../../src/commands/estimate.ts';
import { type PlanOptions, planFile } from '../../src/commands/plan-file.ts';
import { roundsWanted } from '../../src/commands/rounds-options.ts';
import { readSpeed } from '../../src/commands/speed.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { modelConfig } from '../../src/recipe/settings.ts';
import { makeSnapshot } from '../checkpoint/snapshot.ts';
import { tarOf } from '../data/tar-file.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';

let server: TestServer;
let folder: string;
const size = { width: 64, depth: 1, mlp: 128, heads: 2 };
const recipe = {
  version: 1,
  model: { vision: { size, patch: 8, resolution: 32 }, text: { size, length: 64 } },
  data: { train: 'data/train', evaluation: 'data/held-out' },
  schedule: { total: { steps: 10 } },
  phases: [{ name: 'pretrain', batch: 4 }],
};
const gpu = (gigabytes: number) => ({ kind: 'gpu', bytes: gigabytes * 1e9 }) as const;

beforeAll(async () => {
  server = await startServer();
  folder = mkdtempSync(join(tmpdir(), 'plan-file-'));
  const picture = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#369' } })
    .png()
    .toBuffer();
  const members = ['en', 'de', 'en', 'en', 'en'].flatMap((language, i) => [
    { name: `${i}.png`, body: picture },
    { name: `${i}.json`, body: JSON.stringify({ captions: { [language]: [`dog ${i}`] } }) },
  ]);
  for (const part of ['train', 'held-out']) await server.store().put(`data/${part}/0.tar`, tarOf(members));
}, 30_000);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const plan = (of: object = {}, options: Partial<PlanOptions> = {}) =>
  planFile(JSON.stringify({ ...recipe, ...of }), 'recipe.json', {
    json: false,
    device: gpu(80),
    open: () => server.store(),
    ...options,
  });

describe('siglip2 plan', () => {
  it('says of a recipe that is right what it takes, how many examples each language has, and how to learn the time', async () => {
    const { text, whole } = await plan();
    expect(whole).toBe(true);
    expect(text).toMatch(/^The recipe is right.\n {2}phase pretrain: 10 steps, 40 examples \(8.0 epochs\)\n/);
    expect(text).toContain('  captions below data/train/ (data.captions): en 4, de 1 of 5 examples\n');
    expect(text).toContain('  captions below data/held-out/ (evaluate.languages): en 4, de 1 of 5 examples\n');
    expect(text).toMatch(/\n {2}how long it takes: --speed measure, /);
    expect(text).toMatch(/\n {2}not counted: reading and decoding of large pictures, .*\n$/);
    const json = JSON.parse((await plan({}, { json: true })).text);
    expect(json).toMatchObject({ problem: null, notes: [], captions: [{ languages: { en: 4, de: 1 } }, {}] });
  });

  it('gives a time at the speed that is stated, or that a phase recorded, counted in its own operations', async () => {
    const { flops } = estimate(parseRecipe(recipe), null).phases[0]!;
    const stated = await plan({}, { speed: `${flops / 90}` });
    expect(stated.text).toMatch(/operations, about 1 min 30 s\n/);
    expect(stated.text).toMatch(
      / {2}about 1 min 30 s of training in all, at \d.\de\d+ operations a second, as --speed says\n/,
    );
    const parsed = parseRecipe(recipe);
    const snapshot = await makeSnapshot({ run: 'before', step: 10, attempt: 'a' });
    const metrics = { loss: 1, examplesPerSecond: 0.5, dataWaitShare: 0 };
    const sidecars = checkpointSidecars(modelConfig(parsed, null));
    await claimRun(server.store(), 'before', 'h', parsed);
    await commitCheckpoint(server.store(), { ...snapshot, metrics, sidecars });
    const recorded = await plan({}, { speed: 'before/pretrain' });
    // 40 examples at one in two seconds.
    expect(recorded.text).toMatch(/ {2}about 1 min 20 s of training in all, .*, as fast as before\/pretrain@10 was\n/);
    await expect(plan({}, { speed: 'fast' })).rejects.toThrow(/^--speed is fast; allowed: a number of operations/);
    await expect(plan({}, { speed: 'before/other' })).rejects.toThrow(/has no checkpoint before\/other;/);
  });

  it('says of rounds on several workers what their examples take of the link, as large as the shards say', async () => {
    const rounds = roundsWanted({ link: '0.001', workers: '2', roundSteps: '2' });
    // A step of four examples in a second.
    const { flops, steps } = estimate(parseRecipe(recipe), null).phases[0]!;
    const { text } = await plan({}, { speed: `${flops / steps}`, rounds });
    const { body } = await server
      .store()
      .head('data/train/0.tar')
      .then((head) => ({ body: head!.bytes }));
    const kilobytes = (body / 5 / 1000).toFixed(1);
    const megabits = Number(((8 * 4 * body) / 5 / 1e6).toPrecision(2));
    expect(text).toContain(
      `    examples of ${kilobytes} kB take ${megabits} Mbit/s of 0.001 Mbit/s while steps are made: steps wait`,
    );
    expect(text).toMatch(/would help, each by itself: /);
    expect(text).toMatch(/ rounds, about .* in all: longer than one worker takes\n/);
  });

  it('measures a matmul where it is asked to', async () => {
    const { flops, said } = await readSpeed('measure', 'f32', () => server.store());
    expect(flops).toBeGreaterThan(1e8);
    expect(said).toBe('half of what a matmul in f32 reaches on this machine');
  });

  it('proposes for memory only what fits by its own estimate, a compacted table too, and says where it trusts in luck', async () => {
    const large = { phases: [{ name: 'pretrain', batch: 4096 }] };
    const need = estimate(parseRecipe({ ...recipe, ...large }), null).phases[0]!.gpuBytes;
    for (const share of [0.8, 0.6, 0.4]) {
      const had = share * need;
      const error = (await plan(large, { device: { kind: 'gpu', bytes: had } }).catch((failed) => failed)) as Error;
      const proposed = [...error.message.matchAll(/ \(([\d.]+) GB\)/g)].map(([, gigabytes]) => Number(gigabytes));
      expect(proposed.length).toBeGreaterThan(0);
      for (const gigabytes of proposed) expect(gigabytes * 1e9).toBeLessThanOrEqual(had + 0.05e9);
    }
    // Here it is the token table that takes the memory.
    const small = { phases: [{ name: 'pretrain', batch: 64 }] };
    const least = estimate(parseRecipe({ ...recipe, ...small }), null).phases[0]!.gpuBytes;
    const error = plan(small, { device: { kind: 'gpu', bytes: 0.8 * least } });
    await expect(error).rejects.toThrow(/; what would fit: "vocabulary": "compact" \(\d/);
    const tight = await plan(large, { device: { kind: 'gpu', bytes: 0.95 * need } });
    expect(tight.text).toMatch(
      /\n {2}look at this: phase pretrain needs about .*: it is begun all the same, since estimates may be 15 % too high\n/,
    );
  });

  it('says of a phase whose model lies in a checkpoint that it could not look at', async () => {
    const { model: _, ...rest } = recipe;
    const phases = [{ name: 'tune', batch: 4, from: { run: 'base', phase: 'import' } }];
    const away = () => server.store({ endpoint: 'http://127.0.0.1:1', attempts: 1 } as object);
    const options = { json: false, device: null, open: away };
    const { text, whole } = await planFile(JSON.stringify({ ...rest, phases }), 'recipe.json', options);
    expect(whole).toBe(false);
    expect(text).toMatch(/^Not looked at: .* since no answer from http:\/\/127.0.0.1:1/);
    expect(text).toContain(
      '  phase tune: its model is that of the checkpoint that it goes on from, which was not looked at\n',
    );
  });
});
