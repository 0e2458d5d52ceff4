import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { checkpointSidecars } from '../../src/checkpoint/hugging-face/config.ts';
import { planFile } from '../../src/commands/plan-file.ts';
import { newRecipe, type RecipeWanted } from '../../src/commands/recipe-new.ts';
import { fullVocabulary, type ModelConfig, type TowerSize, towerSizes } from '../../src/model/sizes.ts';
import { makeSnapshot } from '../checkpoint/snapshot.ts';
import { tarOf } from '../data/tar-file.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';

let server: TestServer;
const small = { width: 64, depth: 1, mlp: 128, heads: 2 };
const modelOf = (size: TowerSize, patch: number, resolution: number): ModelConfig => ({
  vision: { ...size, patch, resolution },
  text: { ...size, length: 64, vocabulary: fullVocabulary },
});
/** Checkpoints of the phase import, by run. */
const models: Readonly<Record<string, ModelConfig>> = {
  emoji: modelOf(small, 8, 32),
  b16: modelOf(towerSizes.B, 16, 256),
  b32: modelOf(towerSizes.B, 32, 256),
  so14: modelOf(towerSizes.So400m, 14, 224),
  flex: { ...modelOf(small, 8, 32), vision: { ...small, patch: 8, resolution: 32, kind: 'naflex' } },
};
const gpu = (gigabytes: number) => ({ kind: 'gpu', bytes: gigabytes * 1e9 }) as const;

beforeAll(async () => {
  server = await startServer();
  const store = server.store();
  const picture = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#369' } })
    .png()
    .toBuffer();
  const shard = (count: number) =>
    tarOf(
      Array.from({ length: count }, (_, i) => [
        { name: `${i}.png`, body: picture },
        { name: `${i}.json`, body: JSON.stringify({ captions: { en: [`dog ${i}`] } }) },
      ]).flat(),
    );
  for (const [place, count] of [
    ['one', 1],
    ['few', 5],
    ['held-out', 5],
    ['many', 2560],
  ] as const)
    await store.put(`data/${place}/0.tar`, shard(count));
  for (const [run, model] of Object.entries(models)) {
    const snapshot = await makeSnapshot({ run, phase: 'import', step: 0, attempt: 'a' });
    await commitCheckpoint(store, { ...snapshot, sidecars: checkpointSidecars(model) });
  }
}, 60_000);
afterAll(() => server.stop());

const of = (task: string, change: Partial<RecipeWanted> = {}) =>
  newRecipe({
    ...{ task, from: 'emoji', data: 'data/few', evaluation: 'data/held-out', device: gpu(80) },
    open: () => server.store(),
    ...change,
  });
const phaseOf = async (task: string, change: Partial<RecipeWanted>) => {
  const { recipe, notes } = await of(task, change);
  return { phase: (recipe as { phases: object[] }).phases[0]!, notes };
};
const plan = (recipe: object, gigabytes = 80) =>
  planFile(JSON.stringify(recipe), 'recipe.json', {
    ...{ json: false, device: gpu(gigabytes) },
    open: () => server.store(),
  });

describe('siglip2 recipe new', () => {
  it('writes for a task, a model and a device what plan finds right, and refuses what no device of its size trains', async () => {
    for (const [task, own] of [
      ['finetune', {}],
      ['lit', { train: ['text'], freeze: ['tokenTable'], frozenFeatures: 'kept' }],
      ['lora', { lora: { rank: 16, alpha: 32 } }],
      ['long', { text: { length: 256 }, train: ['text'], freeze: ['tokenTable', 'textHead'], frozenFeatures: 'kept' }],
    ] as const) {
      const { recipe, notes } = await of(task);
      // Of five examples a batch has the fewest that are allowed.
      const phases = [{ name: task, from: { run: 'emoji', phase: 'import' }, batch: 8, ...own }];
      expect(recipe).toMatchObject({ phases, optimizer: { weightDecay: 0 } });
      expect(notes.join()).toMatch(/rate: .*about \d/);
      expect(notes.join().includes('5 pictures is kept')).toBe('train' in own);
      const { text, whole } = await plan(recipe);
      expect(whole).toBe(true);
      expect(text.includes('of them are trained')).toBe(task !== 'finetune');
    }
    const lean = await of('lora', { device: gpu(0.7) });
    expect(lean.notes.at(-1)).toMatch(/^about 0\.\d GB of memory, of 0.7 GB$/);
    await expect(of('finetune', { device: gpu(0.7) })).rejects.toThrow(
      /^finetune of emoji takes 0\.\d GB at least, and the device has 0.7 GB; allowed: .*--task lora$/,
    );
    await expect(of('tune')).rejects.toThrow(
      '--task is tune; allowed: finetune, lit, lora, long, naflex, resolution, distill',
    );
    await expect(of('lit', { from: './folder' })).rejects.toThrow('--from is ./folder; allowed: a run, RUN/PHASE');
    await expect(of('lit', { from: 'nobody' })).rejects.toThrow(/^--from is nobody\/import, .* no such checkpoint/);
  });

  it('takes a model on to any shape in the lengths of the paper, and a small one in as many times its own', async () => {
    const large = await of('naflex', { from: 'b16', data: 'data/many' });
    expect(large.recipe).toMatchObject({
      optimizer: { learningRate: 2.5e-5, weightDecay: 0 },
      phases: [{ name: 'naflex', batch: 256, vision: { naflex: { lengths: [128, 256, 576, 784, 1024] } } }],
    });
    expect(large.notes).toContain('patches: 128, 256, 576, 784, 1024, those of SigLIP 2 (arXiv 2502.14786, 2.4.2)');
    const tight = await of('naflex', { from: 'b16', data: 'data/many', device: gpu(12) });
    const [{ accumulate, remat }] = (tight.recipe as { phases: { accumulate: number; remat?: string }[] }).phases as [
      { accumulate: number; remat?: string },
    ];
    // Of the longest a step has half of the batch, which the micro-batches divide.
    expect(accumulate > 1 || remat === 'blocks').toBe(true);
    expect(128 % accumulate).toBe(0);
    const own = await of('naflex');
    expect(own.recipe).toMatchObject({ phases: [{ vision: { naflex: { lengths: [8, 16, 36, 49, 64] } } }] });
    expect(own.notes.join()).toContain('as many times its own 16 as those of SigLIP 2 are of 256');
    for (const [{ recipe }, gigabytes] of [
      [large, 80],
      [tight, 12],
      [own, 80],
    ] as const)
      expect((await plan(recipe, gigabytes)).whole).toBe(true);
  });

  it('takes a model on to the next resolution of the paper, to one and a half times its own, or to what is said', async () => {
    for (const [from, resolution, asked] of [
      ['b16', 384],
      ['b32', 384],
      ['so14', 336],
      ['emoji', 48],
      ['b16', 512, '512'],
      ['so14', 378, '378'],
    ] as const) {
      const { recipe, notes } = await of('resolution', { from, resolution: asked });
      expect(recipe).toMatchObject({
        optimizer: { learningRate: 6.4e-6, weightDecay: 0 },
        phases: [{ name: 'resolution', vision: { resolution } }],
      });
      expect(notes.join()).toContain(`resolution: ${resolution} pixels after ${models[from]!.vision.resolution}, `);
      const { text, whole } = await plan(recipe);
      expect(whole).toBe(true);
      expect(text).not.toContain('are not seen');
    }
    expect((await of('resolution')).notes).toContain(
      'resolution: 48 pixels after 32, one and a half times as many, as 384 is of 256 in SigLIP 2; 36 patches after 16',
    );
    await expect(of('resolution', { device: gpu(0.6) })).rejects.toThrow(/; allowed: .*or a smaller --resolution$/);
  });

  it('has examples chosen by a larger teacher, of super-batches as large as the paper has them for that model', async () => {
    for (const [from, filterRatio, candidates, like] of [
      ['b16', 0.5, '512', 'B/16'],
      ['b32', 0.75, '1,024', 'B/32'],
    ] as const) {
      const { recipe, notes } = await of('distill', { from, data: 'data/many', teacher: 'so14' });
      const teacher = { run: 'so14', phase: 'import' };
      expect(recipe).toMatchObject({
        data: { labelShare: 1 },
        optimizer: { learningRate: 1e-5, weightDecay: 0 },
        phases: [{ name: 'distill', batch: 256, curation: { teacher, filterRatio, chunks: 16 } }],
      });
      expect(notes).toContain(
        `super-batch: ${candidates} examples for a batch of 256, as of ${like} in SigLIP 2 (arXiv 2502.14786, 2.5)`,
      );
      expect(notes.join()).toMatch(
        /teacher: so14\/import@0 has 1,13\d,\d{3},\d{3} parameters, and b\d\d\/import@0 37\d,/,
      );
      expect((await plan(recipe)).whole).toBe(true);
    }
    const few = await phaseOf('distill', { teacher: 'b16/import@0' });
    // A part of a batch of eight has one example.
    const teacher = { run: 'b16', phase: 'import', step: 0 };
    expect(few.phase).toMatchObject({ batch: 8, curation: { teacher, filterRatio: 0.5, chunks: 8 } });
    const smaller = await of('distill', { from: 'b16', teacher: 'emoji' });
    expect(smaller.notes.join()).toMatch(/look at this: the teacher emoji\/import@0 has .* a larger one is usual/);
    for (const { recipe } of [smaller, await of('distill', { teacher: 'b16/import@0' })])
      expect((await plan(recipe)).whole).toBe(true);
  });

  it('trains a NaFlex model on as one, and says in a sentence what such a model is not for', async () => {
    for (const task of ['finetune', 'lit', 'lora', 'long']) {
      const { recipe } = await of(task, { from: 'flex' });
      expect(recipe).toMatchObject({ phases: [{ vision: { naflex: { lengths: [8, 16, 36, 49, 64] } } }] });
      expect(JSON.stringify(recipe)).not.toContain('frozenFeatures');
      expect((await plan(recipe)).whole).toBe(true);
    }
    for (const [task, why, more] of [
      ['naflex', 'is a NaFlex model already', {}],
      ['resolution', 'is a NaFlex model, which sees pictures in any number of patches', {}],
      ['distill', 'is a NaFlex model, and curation is of pictures of one size', { teacher: 'b16' }],
    ] as const)
      await expect(of(task, { from: 'flex', ...more })).rejects.toThrow(
        `--from is flex/import@0, which ${why}; allowed with --task ${task}: a model of one resolution; --task finetune trains it on as it is`,
      );
    // It may choose for others.
    const { recipe } = await of('distill', { teacher: 'flex' });
    expect((await plan(recipe)).whole).toBe(true);
  });

  it.each([
    [
      'resolution',
      { resolution: '32' },
      /^--resolution is 32; .* of 8 above the 32 pixels of emoji\/import@0, such as 48$/,
    ],
    ['resolution', { resolution: '24' }, /^--resolution is 24; /],
    ['resolution', { resolution: '50' }, /^--resolution is 50; allowed: a multiple of the patch of 8 /],
    ['resolution', { resolution: '0x40' }, /^--resolution is 0x40; /],
    ['resolution', { resolution: '8000' }, /phases\.resolution\.vision\.resolution is 8000; allowed: .*4096/],
    [
      'naflex',
      { resolution: '48' },
      '--resolution is 48; it is allowed with --task resolution, not with --task naflex',
    ],
    // Five epochs of one example are no step of the fewest.
    [
      'naflex',
      { data: 'data/one' },
      /^The recipe has a problem: schedule\.total is .* one step of 8 examples is allowed/,
    ],
    ['finetune', { teacher: 'b16' }, '--teacher is b16; it is allowed with --task distill, not with --task finetune'],
    ['distill', {}, '--teacher is missing; needed with --task distill: RUN, RUN/PHASE or RUN/PHASE@STEP of a larger'],
    ['distill', { teacher: '../x' }, '--teacher is ../x; allowed: a run, RUN/PHASE or RUN/PHASE@STEP'],
    ['distill', { teacher: 'nobody/x' }, /^--teacher is nobody\/x, and bucket .* has no such checkpoint; /],
    ['distill', { teacher: 'emoji' }, /^--teacher is emoji\/import@0, as --from is; allowed: another model/],
  ])('refuses for %s %o in one sentence', async (task, change, message) => {
    await expect(of(task, change)).rejects.toThrow(message);
  });
});
