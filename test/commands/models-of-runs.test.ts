import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Site, startSite, tinyRecipe } from '../faults/harness.ts';
import { answers, whole } from '../onnx/answers.ts';
import { cli } from '../support/cli.ts';

// Commands that take models of a bucket and a real worker's evaluations of them: a model and its fine-tuning on another style.
const patience = 600_000;
let site: Site;

const schedule = (steps: number) => ({ total: { steps }, warmup: { steps: 5 } });
const size = { width: 16, depth: 1, mlp: 32, heads: 2 };

beforeAll(async () => {
  site = await startSite();
  const from = tinyRecipe({
    schedule: schedule(200),
    model: {
      vision: { size, patch: 8, resolution: 16 },
      text: { size, length: 16, vocabulary: 'compact' },
      init: { logitBias: -3.5 },
    },
    phases: [{ name: 'pretrain', batch: 32, objectives: { sigmoid: 1, captioning: {} } }],
  });
  await (await site.start('base', from)).result();
  const { model: _, ...tuned } = tinyRecipe({
    schedule: schedule(60),
    data: { train: 'data/emoji/held-out' },
    phases: [{ name: 'finetune', batch: 32, from: { run: 'base', phase: 'pretrain' } }],
  }) as Record<string, unknown>;
  await (await site.start('tuned', tuned)).result();
}, patience);
afterAll(() => site?.stop(), patience);

const answerTo = (args: readonly string[]) =>
  cli({ ...site.services.environment, SIGLIP2_STATE: site.folder }, ...args);

async function typed(...args: string[]): Promise<string> {
  const { code, out, said } = await answerTo(args);
  expect([code, code === 0 ? '' : said], args.join(' ')).toEqual([0, '']);
  return out;
}
const at = (...names: string[]) => join(site.folder, ...names);

it(
  'average --task gives the figures of each mean, at both ends those of the two runs themselves',
  async () => {
    const task = {
      ...{ version: 1, name: 'old', data: 'data/emoji/train', languages: ['en'], resize: 'antialias' },
      evaluators: { zeroShot: {}, retrieval: {} },
    };
    writeFileSync(at('old.json'), JSON.stringify(task));
    const out = await typed(
      ...['average', 'base', 'tuned/finetune', '--ratios', '0,0.5,1', '--out', at('curve'), '--task', at('old.json')],
    );
    const lines = out.split('\n').filter(Boolean);
    expect(lines.slice(0, 3).map((line) => line.split(': ')[1]!.split(';')[0])).toEqual([
      '1 of base, 0 of tuned/finetune',
      '0.5 of base, 0.5 of tuned/finetune',
      '0 of base, 1 of tuned/finetune',
    ]);
    const head = lines.findIndex((line) => /^ *ratio-0 +ratio-0.5 +ratio-1$/.test(line));
    expect(head).toBeGreaterThan(0);
    const rows = new Map(
      lines.slice(head + 1).map((line) => {
        const [, numbers, name] = /^((?: *-?[\d.]+| *-){3}) {2}(.+)$/.exec(line)!;
        return [name!, numbers!.trim().split(/ +/).map(Number)];
      }),
    );
    for (const [column, model] of [
      [0, 'base/pretrain@200'],
      [2, 'tuned/finetune@260'],
    ] as const) {
      const { figures } = JSON.parse(await typed('evaluate', model, '--task', at('old.json'), '--json'));
      const [zeroShot, retrieval] = figures as {
        view: string;
        figures: Record<string, Record<string, Record<string, number>>>;
      }[];
      const own = {
        [`zeroShot.by_language.en.top1, ${zeroShot!.view}`]: zeroShot!.figures.by_language!.en!.top1,
        [`retrieval.mean.text_to_image.r1, ${retrieval!.view}`]: retrieval!.figures.mean!.text_to_image!.r1,
      };
      for (const [name, value] of Object.entries(own))
        expect(rows.get(name)![column]).toBe(Number((value as number).toFixed(4)));
    }
    // So that neither end could be taken for the other.
    expect([...rows.values()].some(([first, , last]) => first !== last)).toBe(true);
  },
  patience,
);

it(
  'export-onnx --part decoder fetches the training state of a checkpoint that has one, and refuses one that has none',
  async () => {
    const out = await typed(
      'export-onnx',
      'base/pretrain@200',
      at('words'),
      '--part',
      'decoder',
      '--dtype',
      'f32',
      'f16',
    );
    expect(out).toMatch(/^float16, decoder: the cosine to float32 is at most \S+ below 1, of 64 places$/m);
    expect(readdirSync(at('words', 'onnx')).sort()).toEqual([
      'decoder_model.onnx',
      'decoder_model_fp16.onnx',
      'decoder_vocabulary.json',
    ]);
    const ids = JSON.parse(readFileSync(at('words', 'onnx', 'decoder_vocabulary.json'), 'utf8')) as number[];
    const { logits } = await answers(at('words', 'onnx', 'decoder_model.onnx'), {
      input_ids: whole([0, 2], [1, 2]),
      encoder_hidden_states: { type: 'float32', data: new Float32Array(4 * 16), shape: [1, 4, 16] },
    });
    expect(logits!.shape).toEqual([1, 2, ids.length]);
    expect(ids.slice(0, 2)).toEqual([0, 1]);
    const { code, said } = await answerTo(['export-onnx', 'tuned', at('none'), '--part', 'decoder']);
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(/--part has decoder, and the model has none; allowed: RUN\/PHASE@STEP/),
    ]);
  },
  patience,
);
