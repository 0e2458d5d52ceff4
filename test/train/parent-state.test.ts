import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { tinySettings } from './settings.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-parent-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const head = { weight: 1, hidden: 12, bottleneck: 8, prototypes: 16, views: 1, resolution: 4 };
const of = (objectives: object): PhaseSettings => ({
  ...tinySettings,
  objectives: { sigmoid: { weight: 1 }, ...objectives } as PhaseSettings['objectives'],
});
const captioning = (depth: number) => of({ captioning: { weight: 1, depth, chunk: 4 } });

it.each([
  [
    'fewer layers of the decoder',
    captioning(2),
    captioning(1),
    /holds decoder.layers.1.encoder_attn.k_proj.weight and 12 more tensors, which the recipe leaves out/,
  ],
  [
    'more layers of the decoder',
    captioning(1),
    captioning(2),
    /lacks decoder.layers.1.self_attn_layer_norm.weight and/,
  ],
  [
    'other prototypes',
    of({ localToGlobal: head }),
    of({ localToGlobal: { ...head, prototypes: 20 } }),
    /.*last_layer.weight_v in .* is of \[16,8\], and the recipe makes it \[20,8\]/,
  ],
])(
  'a phase of %s than the one that it goes on from is refused as a mistake of the recipe',
  async (name, parent, child, said) => {
    const path = join(folder, name.replaceAll(' ', '-'));
    await mkdir(path);
    await writeState(path, parent, freshState(parent));
    await expect(readState(path, child)).rejects.toMatchObject({
      code: 'RecipeInvalid',
      message: expect.stringMatching(said),
    });
    expect(Object.keys(await readState(path, parent)).length).toBeGreaterThan(0);
    // Left out whole, or new as a whole, is what a phase may ask for.
    expect(Object.keys(await readState(path, tinySettings))).not.toContain('decoder.lm_head.weight');
  },
);
