import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelConfigFile } from '../../src/checkpoint/hugging-face/config.ts';
import { eosId } from '../../src/data/example/tokenizer.ts';
import { openSpeaker } from '../../src/model/decode-greedy.ts';
import { decoder } from '../../src/model/decoder.ts';
import { decoderSpecs } from '../../src/model/decoder-parameters.ts';
import { openFeatureModel } from '../../src/model/features.ts';
import { initialise } from '../../src/model/initialise.ts';
import { readDecoder } from '../../src/model/read-decoder.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { decoderGraph } from '../../src/onnx/decoder.ts';
import { exportOnnx, type OnnxOptions } from '../../src/onnx/export-folder.ts';
import type { HalfCost } from '../../src/onnx/half-cost.ts';
import { writeModel } from '../../src/onnx/write-model.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { freshState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { tinySettings } from '../train/settings.ts';
import { answers, apart, floats, leastCosine, whole } from './answers.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'siglip2-onnx-decoder-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('a decoder of random weights as ONNX', () => {
  const size = { depth: 2 };
  const text = { width: 12, depth: 2, mlp: 20, heads: 3, length: 9, vocabulary: 15 };
  const fixed: ModelConfig = { ...tinySettings.model, text };
  const naflex: ModelConfig = { ...fixed, vision: { ...fixed.vision, kind: 'naflex' } };
  const [pictures, patches, words] = [4, 6, 7];
  const seen = [6, 4, 5, 1];
  const random = randomStream(8, 'decoder');
  const values = Object.fromEntries(
    decoderSpecs(fixed, size).map((spec) => [
      spec.name,
      Float32Array.from(initialise(1, spec), (x) => x + 0.6 * random.normal()),
    ]),
  );
  const tensors = decoderSpecs(fixed, size).map(({ name, shape }) => ({
    ...{ name, shape, dtype: 'F32' as const },
    data: new Uint8Array(values[name]!.buffer),
  }));
  const encoded = Float32Array.from({ length: pictures * patches * fixed.vision.width }, () => random.normal());
  const ids = Int32Array.from({ length: pictures * words }, (_, at) =>
    at % words === 0 ? 0 : random.below(text.vocabulary),
  );
  const feeds = (states = encoded) => ({
    input_ids: whole(ids, [pictures, words]),
    encoder_hidden_states: floats(states, [pictures, patches, fixed.vision.width]),
  });
  const mask = whole(
    seen.flatMap((own) => Array.from({ length: patches }, (_, i) => (i < own ? 1 : 0))),
    [pictures, patches],
  );

  /** What our own decoder says as in training, where it shifts the targets right itself: (B L, V). */
  const own = (hides?: Tensor): Float32Array =>
    tf.tidy(() => {
      const p = Object.fromEntries(
        decoderSpecs(fixed, size).map(({ name, shape }) => [name, tf.tensor(values[name]!, [...shape])]),
      );
      const targets = Int32Array.from(ids, (_, at) => (at % words === words - 1 ? 0 : ids[at + 1]!));
      const memory = { encoded: tf.tensor2d(encoded, [pictures * patches, fixed.vision.width]), mask: hides };
      const rows = tf.tensor2d(targets, [pictures, words], 'int32');
      const hidden = decoder(p, fixed, size, rows, tf.zeros([pictures], 'int32'), memory, pictures);
      const logits = tf.matMul(hidden, p['decoder.lm_head.weight']!, false, true).add(p['decoder.lm_head.bias']!);
      return logits.dataSync() as Float32Array;
    });
  async function written(config: ModelConfig, float: 'f32' | 'f16' = 'f32', opset = 20): Promise<string> {
    const file = `${config.vision.kind ?? 'fixed'}-${float}-${opset}.onnx`;
    const of = { config, depth: size.depth, ids: null, tensors, close: async () => {} };
    await writeModel(root, file, decoderGraph(of, float, opset), { producer: 'test' });
    return join(root, file);
  }

  it.each([18, 20, 23])('gives the logits of our own at each place, with the operators of opset %i', async (opset) => {
    const { logits } = await answers(await written(fixed, 'f32', opset), feeds());
    expect(logits!.shape).toEqual([pictures, words, text.vocabulary]);
    expect(apart(logits!.data, own())).toBeLessThan(2e-5);
    expect(leastCosine(logits!.data, own(), text.vocabulary)).toBeGreaterThan(1 - 1e-6);
  });

  it('of NaFlex pictures looks at what is no padding alone, in float16 too', async () => {
    const hides = tf.tensor(
      [...(mask.data as BigInt64Array)].map((one) => (one ? 0 : -1e9)),
      [pictures, 1, 1, patches],
    );
    const { width } = naflex.vision;
    const noise = encoded.map((x, at) => (mask.data[Math.floor(at / width)] ? x : 7));
    for (const [float, most] of [
      ['f32', 2e-5],
      ['f16', 0.05],
    ] as const) {
      const file = await written(naflex, float);
      const { logits } = await answers(file, { ...feeds(), encoder_attention_mask: mask });
      expect(apart(logits!.data, own(hides))).toBeLessThan(most);
      expect(leastCosine(logits!.data, own(hides), text.vocabulary)).toBeGreaterThan(1 - 1e-4);
      expect(apart(logits!.data, own())).toBeGreaterThan(0.1);
      const other = await answers(file, { ...feeds(noise), encoder_attention_mask: mask });
      expect(apart(other.logits!.data, logits!.data)).toBe(0);
    }
  });

  it('takes texts of any length up to that of the model, and refuses a longer one', async () => {
    const file = await written(fixed);
    const { logits } = await answers(file, feeds());
    const one = floats(encoded.subarray(0, patches * fixed.vision.width), [1, patches, fixed.vision.width]);
    for (const count of [1, 4]) {
      const input_ids = whole(ids.subarray(0, count), [1, count]);
      const short = await answers(file, { input_ids, encoder_hidden_states: one });
      expect(apart(short.logits!.data, logits!.data.subarray(0, count * text.vocabulary))).toBeLessThan(1e-5);
    }
    const long = whole(new Int32Array(text.length + 1), [1, text.length + 1]);
    await expect(answers(file, { input_ids: long, encoder_hidden_states: one })).rejects.toThrow(/Add/);
  });
});

describe('a decoder that has learned captions by heart, from its checkpoint to ONNX Runtime', () => {
  // Rows of tables of which the tokens are anything but their numbers.
  const vocabulary = [0, 1, 3, ...Array.from({ length: 21 }, (_, i) => 100 + 7 * i)];
  const length = 10;
  const pictures = 6;
  const settings: PhaseSettings = {
    ...tinySettings,
    model: {
      vision: { ...tinySettings.model.vision, width: 24, heads: 2 },
      text: { width: 32, depth: 1, mlp: 64, heads: 2, length, vocabulary: vocabulary.length },
    },
    objectives: { captioning: { weight: 1, depth: 2, chunk: 500 } },
    optimizer: { ...tinySettings.optimizer, learningRate: 0.006, weightDecay: 0, multipliers: {} },
    schedule: { total: pictures * 250, warmup: pictures * 10 },
    batches: { ...tinySettings.batches, batch: pictures, textLength: length, vocabulary },
  };
  const side = settings.model.vision.resolution;
  const random = randomStream(3, 'by-heart');
  const images = Uint8Array.from({ length: pictures * side * side * 3 }, () => random.below(256));
  /** Rows of the caption of each picture, with its end. */
  const captions = Array.from({ length: pictures }, (_, i) => [
    ...Array.from({ length: 4 + (i % 4) }, () => 3 + random.below(vocabulary.length - 3)),
    eosId,
  ]);
  const out = (...names: string[]) => join(root, 'captions', ...names);
  const source = () => join(root, 'checkpoint');
  const costs: Record<string, HalfCost> = {};
  const options = (more: Partial<OnnxOptions> = {}): OnnxOptions => ({
    ...{ parts: ['image', 'decoder'], dtypes: ['f32'], opset: 20, scratch: root, producer: 'test' },
    ...more,
  });

  beforeAll(async () => {
    await writeCheckpoint(source(), settings, 250);
    await exportOnnx(source(), out(), {
      ...options({ dtypes: ['f32', 'f16'] }),
      onCost: (tower, cost) => {
        costs[tower] = cost;
      },
    });
  });

  async function writeCheckpoint(folder: string, of: PhaseSettings, steps: number): Promise<void> {
    await mkdir(folder);
    const trainer = createTrainer(of);
    trainer.program.write(freshState(of));
    const targets = new Int32Array(pictures * 3 * length);
    const targetWeights = new Float32Array(targets.length);
    for (const [i, caption] of captions.entries()) {
      targets.set(caption, 3 * i * length);
      targetWeights.fill(1, 3 * i * length, 3 * i * length + caption.length);
    }
    const tokens = new Int32Array(pictures * length);
    const parts = { targets, targetWeights, parallel: new Int32Array(3 * pictures) };
    for (let k = 1; k <= steps; k++) trainer.step(k, { index: 0, images, tokens, parts, skipped: [] });
    await writeState(folder, of, trainer.program.read(trainer.stateNames));
    trainer.program.dispose();
    await writeFile(join(folder, 'config.json'), modelConfigFile(of.model).content);
  }

  /** What an image tower of ONNX says of each patch. */
  async function patchesBy(file: string) {
    const data = new Float32Array(images.length);
    for (const [at, byte] of images.entries()) {
      const [picture, place, channel] = [Math.floor(at / (3 * side * side)), Math.floor(at / 3) % side ** 2, at % 3];
      data[(picture * 3 + channel) * side * side + place] = byte / 127.5 - 1;
    }
    const found = await answers(out('onnx', file), { pixel_values: floats(data, [pictures, 3, side, side]) });
    return found.last_hidden_state!;
  }

  /** Greedily, as a program does that has nothing but the two files. */
  async function saidBy(suffix: string): Promise<number[][]> {
    const seen = await patchesBy(`vision_model${suffix}.onnx`);
    const said: number[][] = captions.map(() => []);
    for (let place = 0; place < length; place++) {
      const input = said.flatMap((text) => [0, ...Array.from({ length: place }, (_, k) => text[k] ?? eosId)]);
      const { logits } = await answers(out('onnx', `decoder_model${suffix}.onnx`), {
        input_ids: whole(input, [pictures, place + 1]),
        encoder_hidden_states: floats(seen.data, seen.shape),
      });
      const [, , words] = logits!.shape;
      for (const [i, text] of said.entries()) {
        const at = (i * (place + 1) + place) * words!;
        const row = logits!.data.subarray(at, at + words!);
        if (text.at(-1) !== eosId) text.push(row.indexOf(Math.max(...row)));
      }
    }
    return said;
  }

  it('says token by token what ours says, which are the captions, and so it does in float16', async () => {
    const model = await openFeatureModel(source(), settings.model, { sizes: [side], patches: true });
    const encoded = model.squares(side, images).patches!;
    model.dispose();
    const files = ['training-00001.safetensors'];
    const { config, values, ids } = await readDecoder(source(), files, settings.model, { depth: 2 });
    const speaker = openSpeaker(
      values,
      config,
      { depth: 2 },
      { batch: pictures, patches: encoded.length / pictures / 24 },
    );
    const ours = await speaker.say(
      { encoded },
      captions.map((_, picture) => ({ picture, given: [] })),
      eosId,
    );
    speaker.dispose();
    expect(ours).toEqual(captions);
    expect(await saidBy('')).toEqual(ours);
    expect(await saidBy('_fp16')).toEqual(ours);
    expect(JSON.parse(readFileSync(out('onnx', 'decoder_vocabulary.json'), 'utf8'))).toEqual(ids);
    expect(ids).toEqual(vocabulary);
  });

  it('costs in float16 what the command says', () => {
    expect(Object.keys(costs)).toEqual(['image', 'decoder']);
    expect(costs.decoder!.cosine).toBeLessThan(1);
    expect(costs.decoder!.cosine).toBeGreaterThan(1 - 1e-4);
    expect(costs.decoder!.inputs).toBe(4 * length);
  });

  it('is refused in a sentence where there is none, and nothing is written', async () => {
    const plain = join(root, 'plain');
    await writeCheckpoint(plain, { ...settings, objectives: { sigmoid: { weight: 1 } } }, 0);
    const none = join(root, 'none');
    await expect(exportOnnx(plain, none, options())).rejects.toThrow(
      '--part has decoder, and the model has none; allowed: RUN/PHASE@STEP of a phase whose objectives have captioning, ' +
        'or what pull --training made of it',
    );
    expect(existsSync(none) || existsSync(`${none}.part`)).toBe(false);
  });
});
