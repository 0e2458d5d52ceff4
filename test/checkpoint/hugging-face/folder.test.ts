import { describe, expect, it } from 'vitest';
import { checkpointSidecars } from '../../../src/checkpoint/hugging-face/config.ts';
import { exportFiles } from '../../../src/checkpoint/hugging-face/export-files.ts';
import { type ModelCardFacts, modelCard } from '../../../src/checkpoint/hugging-face/model-card.ts';
import type { EvaluationReport } from '../../../src/evaluate/report.ts';
import { type ModelConfig, towerSizes } from '../../../src/model/sizes.ts';

const giant: ModelConfig = {
  vision: { ...towerSizes['g-opt'], patch: 16, resolution: 384 },
  // As in training with a compacted table.
  text: { ...towerSizes.So400m, length: 64, vocabulary: 5000 },
};

describe('the files beside a checkpoint', () => {
  const files = Object.fromEntries(checkpointSidecars(giant).map(({ path, content }) => [path, JSON.parse(content)]));

  it('describe giant-opt-patch16-384 by the numbers of the size table, with all 256,000 tokens', () => {
    expect(files['config.json']).toMatchObject({
      architectures: ['SiglipModel'],
      model_type: 'siglip',
      text_config: {
        vocab_size: 256_000,
        hidden_size: 1152,
        intermediate_size: 4304,
        num_hidden_layers: 27,
        num_attention_heads: 16,
        projection_size: 1536,
        max_position_embeddings: 64,
      },
      vision_config: {
        hidden_size: 1536,
        intermediate_size: 6144,
        num_hidden_layers: 40,
        num_attention_heads: 16,
        image_size: 384,
        patch_size: 16,
      },
    });
  });

  it('normalise pixels to -1 .. 1 at the resolution of the model', () => {
    const { size, rescale_factor, image_mean, image_std, resample } = files['preprocessor_config.json'];
    expect(size).toEqual({ height: 384, width: 384 });
    expect((255 * rescale_factor - image_mean[0]) / image_std[0]).toBeCloseTo(1, 12);
    expect((0 * rescale_factor - image_mean[2]) / image_std[2]).toBe(-1);
    expect(resample).toBe(2);
  });
});

describe('the files beside a NaFlex checkpoint', () => {
  const config: ModelConfig = {
    vision: { ...towerSizes.B, patch: 16, resolution: 256, kind: 'naflex' },
    text: { ...towerSizes.B, length: 64, vocabulary: 256_000 },
  };
  const files = Object.fromEntries(checkpointSidecars(config).map(({ path, content }) => [path, JSON.parse(content)]));

  it('are those of a Siglip2Model, whose images have patches and no size', () => {
    const { architectures, model_type, text_config, vision_config } = files['config.json'];
    expect({ architectures, model_type }).toEqual({ architectures: ['Siglip2Model'], model_type: 'siglip2' });
    expect(text_config.model_type).toBe('siglip2_text_model');
    expect(vision_config).toMatchObject({ model_type: 'siglip2_vision_model', num_patches: 256, patch_size: 16 });
    expect(vision_config).not.toHaveProperty('image_size');
    const processor = files['preprocessor_config.json'];
    expect(processor).toMatchObject({
      image_processor_type: 'Siglip2ImageProcessor',
      max_num_patches: 256,
      patch_size: 16,
      resample: 2,
    });
    expect(processor).not.toHaveProperty('size');
  });
});

describe('the model card', () => {
  const facts: ModelCardFacts = {
    run: 'emoji-1',
    phase: 'pretrain',
    step: 900,
    examples: 230_400,
    checkpointUri: 's3://bucket/runs/emoji-1/pretrain/r0/step-00000900-a/',
    checkpointSha256: 'ab'.repeat(32),
    codeVersion: '0.1.0',
    recipeHash: 'cd'.repeat(32),
    data: { train: 'data/train', evaluation: 'data/held-out', fingerprint: 'ef', licences: '# Notices\n\nBy A, MIT.' },
    evaluation: null,
  };
  const zero_shot = { classes: 1594, examples: 1594, left_out: 2, top1: 0.0958, top5: 0.25, chance: 1 / 1594 };
  const recall = { r1: 0.09, r5: 0.2, r10: 0.3, chance_r1: 1 / 1594 };
  const evaluation: EvaluationReport = {
    zero_shot: {
      ...zero_shot,
      times_chance: 152.7,
      language: 'en',
      by_language: {
        en: { ...zero_shot, times_chance: 152.7 },
        'x|\ny': { classes: 0, examples: 0, left_out: 1596 },
      },
    },
    retrieval: {
      images: 1594,
      texts: 1594,
      left_out: 2,
      image_to_text: recall,
      text_to_image: recall,
      language: 'en',
      by_language: { en: { images: 1594, texts: 1594, left_out: 2, image_to_text: recall, text_to_image: recall } },
    },
  };

  it('tells the figures, what is missing, the origin and the notices of the data', () => {
    const { path, content } = modelCard(giant, { ...facts, evaluation });
    expect(path).toBe('README.md');
    expect(content).toContain('| en | 1594 | 9.6 % | 25.0 % | 152.7 | 2 |');
    expect(content).toContain('| x  y | 0 | - | - | - | 1596 |');
    expect(content).toContain('| en | 9.0 % / 20.0 % / 30.0 % | 9.0 % / 20.0 % / 30.0 % |');
    expect(content).toContain(facts.checkpointUri);
    expect(content).not.toContain('Matrix products');
    const bf16 = modelCard(giant, { ...facts, precision: 'bf16' }).content;
    expect(bf16).toContain('code 0.1.0\n- Matrix products in bfloat16, weights in float32\n- Data:');
    expect(content).toContain('### Notices\n\nBy A, MIT.');
  });

  it('has the figures of evaluations by tasks where the hub looks for them', () => {
    const figures = [
      { evaluator: 'knn' as const, view: 'px-256', figures: { k20: { top1: 0.25 } } },
      // Others have no task that it would come under.
      { evaluator: 'calibration' as const, view: 'px-256', figures: { ece: 0.1 } },
    ];
    const { content } = modelCard(giant, { ...facts, evaluations: [{ task: 'pets', key: 'k', figures }] });
    expect(content.split('---\n')[1]).toContain(`- siglip2
model-index:
- name: ${facts.run}
  results:
  - task:
      type: image-classification
      name: Image Classification
    dataset:
      name: pets
      type: pets
    metrics:
    - type: knn px-256 k20.top1
      value: 0.25
      name: knn px-256 k20.top1
`);
    expect(modelCard(giant, facts).content).not.toContain('model-index');
  });

  it('writes .eval_results of tasks that name a data set of the hub, and says so of the others', async () => {
    const figures = [
      { evaluator: 'zeroShot' as const, view: 'px-256', figures: { top1: 0.75, top5: 0.9 } },
      { evaluator: 'zeroShot' as const, view: 'px-384', figures: { top1: 0.8 } },
    ];
    const dataset = {
      ...{ hub: 'ILSVRC/imagenet-1k', split: 'validation', source: 'https://example.org/logs' },
      tasks: { 'zeroShot.top1': 'zero_shot' },
    };
    const evaluations = [
      { task: 'imagenet', key: 'evaluations/r/p-9/imagenet-12ab/result.json', dataset, figures },
      { task: 'pets', key: 'evaluations/r/p-9/pets-34cd/result.json', figures },
    ];
    const files = await exportFiles(giant, { ...facts, evaluations });
    const [own] = files.filter(({ path }) => path.startsWith('.eval_results'));
    expect(own!.path).toBe('.eval_results/imagenet-12ab.yaml');
    const entry = (value: string, view: string) => `- dataset:
    id: ILSVRC/imagenet-1k
    task_id: zero_shot
  value: ${value}
  source:
    url: https://example.org/logs
    name: result.json and its fingerprint
  notes: zeroShot at ${view} of ${facts.run}/${facts.phase}@${facts.step}, sha256 ${facts.checkpointSha256.slice(0, 12)}, by siglip2-runner
`;
    expect(own!.content).toBe(entry('0.75', 'px-256') + entry('0.8', 'px-384'));
    const card = files.find(({ path }) => path === 'README.md')!.content;
    expect(card).toContain('`.eval_results` has figures for leaderboards, not verified, of: imagenet.\n');
    expect(card).toContain('`.eval_results` has nothing of pets: its task names no `dataset` of the hub with `tasks`.');
    expect(card).toContain(
      '    dataset:\n      name: imagenet\n      type: ILSVRC/imagenet-1k\n      split: validation\n',
    );
    expect(modelCard(giant, facts).content).not.toContain('eval_results');
  });

  it('tells what was not used of the data, by reason, as plain text', () => {
    const reasons = [
      {
        reason: 'the JSON member has NaN, which is not JSON',
        members: 7,
        example: 'd/1.tar a: behind "x", character 9',
      },
      { reason: 'no caption in en', members: 1, example: 'd/1.tar [b](http://x)\n# c|<b>' },
      { reason: 'other reasons', members: 2, example: '' },
    ];
    const of = (data: Partial<ModelCardFacts['data']>) =>
      modelCard(giant, { ...facts, data: { ...facts.data, ...data } }).content;
    expect(of({ members: 16, skipped: { members: 10, reasons } })).toContain(`fingerprint ef
- Not used: 10 of 16 members of the data
  - 7: the JSON member has NaN, which is not JSON, such as d/1.tar a: behind "x", character 9
  - 1: no caption in en, such as d/1.tar ?b?(http://x)?? c??b?
  - 2: other reasons

## Licences`);
    expect(of({ skipped: { members: 10_000, orMore: true, reasons } })).toContain(
      '- Not used: 10000 or more members of',
    );
    expect(of({ skipped: null })).toContain('- Not used: none of the examples that were drawn\n');
    expect(of({})).not.toContain('Not used');
  });

  it('calls the processor with what its defaults do not say, and names the pipelines that ask for 64 tokens', () => {
    const call = (content: string) => /inputs = processor\(\n(.*?)\n\)/s.exec(content)?.[1];
    const { content } = modelCard(giant, facts);
    expect(call(content)).toBe(
      '    text=["a red apple", "a green frog"], images=Image.open("image.png").convert("RGB"),\n' +
        '    padding="max_length", max_length=64, truncation=True, return_tensors="pt",',
    );
    expect(content).toContain('pipeline_tag: zero-shot-image-classification\nlicense');
    const short: ModelConfig = {
      vision: { ...giant.vision, patch: 8, resolution: 64, kind: 'naflex' },
      text: { ...giant.text, length: 24 },
    };
    const naflex = modelCard(short, facts).content;
    expect(call(naflex)).toBe(
      '    text=["a red apple", "a green frog"], images=Image.open("image.png").convert("RGB"),\n' +
        '    padding="max_length", max_length=24, truncation=True,\n' +
        '    patch_size=8, max_num_patches=64, return_tensors="pt",',
    );
    expect(naflex).not.toContain('pipeline_tag');
    expect(naflex).toContain('pipelines pad texts to 64 tokens');
  });

  it('says how far the processor is from training, which an antialiased one is not', () => {
    const [sparse, alike] = [facts, { ...facts, resize: 'antialias' as const }].map(
      (of) => modelCard(giant, of).content,
    );
    expect(sparse).toContain('and resized without antialiasing, while the processor here antialiases');
    expect(modelCard(giant, { ...facts, resize: 'big_vision' }).content).toBe(sparse);
    expect(alike).toContain('training laid transparent images on white. Both resize alike: bilinear, antialiased.');
    expect(alike).not.toContain('without antialiasing');
  });

  it('says so when there were no figures and no notices', () => {
    const { content } = modelCard(giant, { ...facts, data: { ...facts.data, licences: null } });
    expect(content).toContain('This model was not evaluated.');
    expect(content).toContain('no licence notices came with it');
  });
});
