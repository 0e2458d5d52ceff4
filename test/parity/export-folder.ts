import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportFiles } from '../../src/checkpoint/hugging-face/export-files.ts';
import { loadTokenizer } from '../../src/data/example/tokenizer.ts';
import { initialise } from '../../src/model/initialise.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { writeState } from '../../src/train/state.ts';
import { tinySettings } from '../train/settings.ts';

/** Texts that a tokenizer can get wrong: case, accents, scripts, emoji, length, spaces, special tokens, nothing. */
export const texts = [
  'A Photo of a CAT',
  'grinning face',
  'ÉCLAIR, Ärger & İstanbul',
  'ΟΔΥΣΣΕΥΣ',
  '笑脸 और मुस्कुराता चेहरा',
  'family: 👩‍👩‍👧‍👦 on the 🏖️',
  'a very long text that goes on and on and on until it has more tokens than there are places for it',
  '  two  spaces  ',
  'an <eos> within',
  '',
];

export interface ExportedModel {
  readonly model: ModelConfig;
  /** Sorted ids that the compacted token table was made with. */
  readonly vocabulary: readonly number[];
  /** (3, R, R, 3) */
  readonly images: Uint8Array;
  /** (texts, L) full ids */
  readonly tokens: Int32Array;
}

/**
 * Writes an export of a small model with the project's own code: the folder that `check_export.py` opens with
 * transformers. Its bytes are a pure function of this file and of what it calls. The tokens of `otherTexts` get rows
 * of their own too.
 */
export async function writeExport(folder: string, otherTexts: readonly string[] = []): Promise<ExportedModel> {
  await mkdir(folder, { recursive: true });
  const model = { ...tinySettings.model, text: { ...tinySettings.model.text, length: 16 } };
  const tokens = loadTokenizer().tokenize(texts, model.text.length);
  const others = loadTokenizer().tokenize(otherTexts, model.text.length);
  const vocabulary = [...new Set([0, 1, 3, ...tokens, ...others])].sort((a, b) => a - b);
  const compact = { ...model, text: { ...model.text, vocabulary: vocabulary.length } };
  const settings: PhaseSettings = {
    ...tinySettings,
    model: compact,
    batches: { ...tinySettings.batches, textLength: model.text.length, vocabulary },
  };
  const state: Record<string, Float32Array> = {};
  for (const spec of parameterSpecs(compact, { temperature: 10, logitBias: -2 })) {
    // Far from a fresh model, whose biases of 0 and norms of 1 hide what is missing.
    const random = randomStream(5, `export/${spec.name}`);
    state[spec.name] = initialise(5, spec).map((value) => value + 0.2 * random.normal());
    state[`m/${spec.name}`] = state[`v/${spec.name}`] = new Float32Array(state[spec.name]!.length);
  }
  await writeState(folder, settings, state);
  const facts = {
    run: 'parity',
    phase: 'pretrain',
    step: 0,
    examples: 0,
    checkpointUri: 's3://bucket/runs/parity',
    checkpointSha256: '0'.repeat(64),
    codeVersion: 'test',
    recipeHash: 'test',
    data: { train: 'none', evaluation: null, fingerprint: 'none', licences: null },
    evaluation: null,
  };
  for (const { path, content } of await exportFiles(model, facts)) await writeFile(join(folder, path), content);
  const random = randomStream(5, 'export/images');
  const images = Uint8Array.from({ length: 3 * model.vision.resolution ** 2 * 3 }, () => random.below(256));
  await writeFile(
    join(folder, 'inputs.json'),
    JSON.stringify({ texts, resolution: model.vision.resolution, images: Buffer.from(images).toString('base64') }),
  );
  return { model, vocabulary, images, tokens };
}
