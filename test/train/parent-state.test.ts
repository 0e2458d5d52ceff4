import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stretchPositions } from '../../src/model/stretch-positions.ts';
import { firstMoment } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { readUpdates } from '../../src/train/stored-updates.ts';
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

it('a phase of longer texts has the positions stretched and their moments anew, and one that asks for none is refused', async () => {
  const path = join(folder, 'longer');
  await mkdir(path);
  const before = freshState(tinySettings);
  const positions = 'text_model.embeddings.position_embedding.weight';
  const moved = { ...before, [firstMoment(positions)]: before[firstMoment(positions)]!.map(() => 1) };
  await writeState(path, tinySettings, moved);
  const { length } = tinySettings.model.text;
  const text = { ...tinySettings.model.text, length: 3 * length };
  const longer: PhaseSettings = {
    ...tinySettings,
    model: { ...tinySettings.model, text },
    batches: { ...tinySettings.batches, textLength: 3 * length },
    textPositions: 'even',
  };
  const state = await readState(path, longer);
  expect(state).toEqual({
    ...before,
    [positions]: stretchPositions(before[positions] as Float32Array, length, 3 * length, 'even'),
    ...Object.fromEntries(['m', 'v'].map((of) => [`${of}/${positions}`, new Float32Array(3 * length * text.width)])),
  });
  const { own } = await readUpdates(path, longer, { step: 5, within: false });
  expect(own).toEqual({ [positions]: Int32Array.of(0) });
  const { textPositions: _, ...unsaid } = longer;
  await expect(readState(path, unsaid)).rejects.toThrow(
    `model.text.length is ${3 * length}, and the checkpoint has ${length}`,
  );
});
