import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addAdapter } from '../../../src/checkpoint/hugging-face/add-adapter.ts';
import { keptAdapter } from '../../../src/checkpoint/hugging-face/kept-adapter.ts';
import { type ModelFolder, openModelFolder } from '../../../src/checkpoint/hugging-face/model-folder.ts';
import { readAdapter } from '../../../src/checkpoint/hugging-face/read-adapter.ts';
import { adapterMagnitude, adapterTargets } from '../../../src/model/adapters.ts';
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from '../../../src/safetensors/safetensors.ts';
import { tinyTensors, writeFolder } from './tiny-folder.ts';

const fixtures = new URL('fixtures/', import.meta.url);
const { cases } = JSON.parse(readFileSync(new URL('adapters.json', fixtures), 'utf8')) as {
  cases: Record<string, Record<string, unknown>>;
};

let folder: string;
let stored: SafetensorsFile;
let base: string;
let model: ModelFolder;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-adapter-'));
  stored = await SafetensorsFile.open(new URL('adapters.safetensors', fixtures).pathname);
  base = join(folder, 'base');
  const tensors = tinyTensors().map(async (tensor): Promise<TensorToWrite> => {
    const name = `base/${tensor.name}`;
    return stored.tensors.has(name) ? { ...tensor, data: await stored.read(name) } : tensor;
  });
  await writeFolder(base, await Promise.all(tensors));
  model = await openModelFolder(base);
});
afterAll(async () => {
  await stored.close();
  await model.close();
  await rm(folder, { recursive: true });
});

interface Change {
  readonly config?: object;
  readonly tensors?: (all: TensorToWrite[]) => TensorToWrite[];
  readonly metadata?: Record<string, string>;
}

/** A folder as peft wrote it, or changed a little. */
async function adapterOf(name: string, { config, tensors = (all) => all, metadata = {} }: Change = {}) {
  const own = await mkdtemp(join(folder, 'adapter-'));
  const all: TensorToWrite[] = [];
  for (const [full, { dtype, shape }] of stored.tensors)
    if (full.startsWith(`${name}/`))
      all.push({ name: full.slice(name.length + 1), dtype, shape, data: await stored.read(full) });
  await writeFile(join(own, 'adapter_config.json'), JSON.stringify({ ...cases[name], ...config }));
  await writeSafetensors(join(own, 'adapter_model.safetensors'), tensors(all), {
    metadata: { format: 'pt', ...metadata },
  });
  return own;
}

describe('an adapter of peft', () => {
  it.each([
    ['blocks', { rank: 2, alpha: 6, targets: [...adapterTargets], in: ['imageBlocks.0', 'textBlocks.0'] }],
    ['patterns', null],
    ['dora', { rank: 1, alpha: 1, targets: ['v_proj'], in: ['imageBlocks.0', 'textBlocks.0'], useDora: true }],
  ] as const)('is added to the weights as peft merges it, and to no others: %s', async (name, lora) => {
    const adapter = await readAdapter(await adapterOf(name), base, model);
    expect(adapter.lora).toEqual(lora);
    const path = join(folder, `${name}.safetensors`);
    await writeSafetensors(path, addAdapter(model.tensors, adapter.layers));
    const [merged, before] = [
      await SafetensorsFile.open(path),
      await SafetensorsFile.open(join(base, 'model.safetensors')),
    ];
    let moved = 0;
    for (const weight of merged.tensors.keys()) {
      const theirs = `merged/${name}/${weight}`;
      if (!stored.tensors.has(theirs)) {
        expect(Buffer.from(await merged.read(weight)).equals(await before.read(weight)), weight).toBe(true);
        continue;
      }
      const found = await merged.readFloats(weight);
      moved++;
      for (const [i, value] of (await stored.readFloats(theirs)).entries())
        expect(Math.abs(found[i]! - value), weight).toBeLessThan(2e-6 * Math.max(1, Math.abs(value)));
    }
    await merged.close();
    await before.close();
    expect(moved).toBe([...stored.tensors.keys()].filter((one) => one.startsWith(`merged/${name}/`)).length);
  });

  it('of DoRA is kept with its lengths, and with the weights without it, for a phase that goes on with it', async () => {
    const adapter = await readAdapter(await adapterOf('dora'), base, model);
    const kept = new Map(keptAdapter(model.tensors, adapter).map((tensor) => [tensor.name, tensor]));
    const weight = 'vision_model.encoder.layers.0.self_attn.v_proj.weight';
    const lengths = adapterMagnitude(weight.replace(/\.weight$/, ''));
    const bytes = Buffer.from(kept.get(lengths)!.data as Uint8Array);
    expect(bytes.equals(await stored.read(`dora/base_model.model.${lengths}`))).toBe(true);
    expect(kept.has(`base/${weight}`)).toBe(true);
    expect([...kept.keys()].filter((name) => name.endsWith(lengths))).toEqual([lengths, `updates/${lengths}`]);
  });

  const layer = 'base_model.model.vision_model.encoder.layers.0.mlp.fc1';
  const renamed = (to: string) => (all: TensorToWrite[]) =>
    all.map((one) => (one.name.startsWith(`${layer}.`) ? { ...one, name: one.name.replace(layer, to) } : one));
  it.each<[string, string, Change, RegExp]>([
    [
      'with quantised adapters',
      'blocks',
      { config: { use_qalora: true } },
      /use_qalora is true, and adapters without it/,
    ],
    [
      'of DoRA without lengths',
      'blocks',
      { config: { use_dora: true } },
      /it lacks the tensor .*lora_magnitude_vector$/,
    ],
    [
      'with lengths that no setting tells of',
      'dora',
      { config: { use_dora: false } },
      /has the tensor .*lora_magnitude_vector, which is no lora_A or lora_B of a layer$/,
    ],
    [
      'of another method',
      'blocks',
      { config: { peft_type: 'IA3' } },
      /peft_type of adapter_config.json is "IA3"; "LORA" is allowed$/,
    ],
    ['with biases', 'blocks', { config: { bias: 'lora_only' } }, /bias is "lora_only"; "none" is allowed$/],
    [
      'that changed the weights first',
      'blocks',
      { config: { init_lora_weights: 'pissa' } },
      /init_lora_weights is "pissa"; allowed: true/,
    ],
    [
      'of a deeper tower',
      'blocks',
      { tensors: renamed(layer.replace('layers.0', 'layers.7')) },
      /has an adapter of vision_model.encoder.layers.7.mlp.fc1, and the model has no such linear layer$/,
    ],
    [
      'of something that is no linear layer',
      'blocks',
      { tensors: renamed('base_model.model.text_model.embeddings.token_embedding') },
      /adapter of text_model.embeddings.token_embedding, and the model has no such/,
    ],
    [
      'of another width',
      'blocks',
      {
        tensors: (all) =>
          all.map((one) =>
            one.name === `${layer}.lora_A.weight` ? { ...one, shape: [2, 3], data: new Uint8Array(24) } : one,
          ),
      },
      /fc1.lora_A.weight has the shape \[2,3\], and the model with the settings of adapter_config.json has \[2,6\]$/,
    ],
    ['of another rank than it says', 'blocks', { config: { r: 4 } }, /lora_A.weight has the shape \[2,.*\[4,/],
    [
      'with a pattern that would take for ever',
      'blocks',
      { config: { alpha_pattern: { '(([a-z_.0-9]+)+)+!': 2 } } },
      /alpha_pattern has the pattern "\(\(.*; names of layers and simple patterns are allowed$/,
    ],
    [
      'with a pattern that is none',
      'blocks',
      { config: { rank_pattern: { '[': 2 } } },
      /rank_pattern has the pattern "\["/,
    ],
    [
      'without a half',
      'blocks',
      { tensors: (all) => all.filter(({ name }) => name !== `${layer}.lora_B.weight`) },
      /lacks the tensor .*fc1.lora_B.weight$/,
    ],
    [
      'without a layer that it names',
      'patterns',
      { config: { target_modules: ['q_proj', 'fc1', 'fc2'] } },
      /target_modules names "fc2", and adapter_model.safetensors has no adapter of it$/,
    ],
    [
      'with a number that is none',
      'blocks',
      {
        tensors: (all) => [
          { ...all[0]!, data: new Uint8Array((all[0]!.data as Uint8Array).length).fill(255) },
          ...all.slice(1),
        ],
      },
      /holds NaN at place 0/,
    ],
    [
      'of a release that the folder is not',
      'blocks',
      { config: { base_model_name_or_path: 'google/siglip2-base-patch16-224' } },
      /it was trained on siglip2-base-patch16-224, and .* is siglip2-base-patch16-256; import siglip2-base-patch16-224, or set/,
    ],
    [
      'of other weights',
      'blocks',
      { metadata: { siglip2_base: '0'.repeat(64) } },
      /trained on other weights than those of .*; import the model that it is of$/,
    ],
  ])('%s is refused in one sentence', async (_, name, change, sentence) => {
    const adapter = await adapterOf(name, change);
    const called = join(folder, 'siglip2-base-patch16-256');
    await mkdir(called, { recursive: true });
    await writeFile(join(called, 'config.json'), await readFile(join(base, 'config.json')));
    await expect(readAdapter(adapter, called, model)).rejects.toThrow(sentence);
    await expect(readAdapter(adapter, called, model)).rejects.toMatchObject({ code: 'RecipeInvalid' });
  });

  it('that is not there is named', async () => {
    await expect(readAdapter(join(folder, 'none'), base, model)).rejects.toThrow(
      /none\/adapter_config.json is missing/,
    );
  });
});
