import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointSidecars } from '../../../src/checkpoint/hugging-face/config.ts';
import { parameterSpecs } from '../../../src/model/parameters.ts';
import { fullVocabulary, type ModelConfig } from '../../../src/model/sizes.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { toBfloat16 } from '../../../src/safetensors/float-bytes.ts';
import { type TensorToWrite, writeSafetensors } from '../../../src/safetensors/safetensors.ts';

/** As small as a model with the whole token table can be: text of another width than images, as g-opt has it. */
export const tinyModel: ModelConfig = {
  vision: { width: 6, depth: 1, mlp: 5, heads: 2, patch: 2, resolution: 4 },
  text: { width: 2, depth: 1, mlp: 3, heads: 1, length: 4, vocabulary: fullVocabulary },
};

/** Its tensors, filled with noise that bfloat16 holds exactly. */
export function tinyTensors(model: ModelConfig = tinyModel): (TensorToWrite & { readonly data: Uint8Array })[] {
  return parameterSpecs(model).map(({ name, shape }) => {
    const random = randomStream(1, name);
    const count = shape.reduce((a, b) => a * b, 1);
    const floats = Float32Array.from({ length: count }, () => (random.below(255) - 127) / 64);
    return { name, dtype: 'F32' as const, shape, data: new Uint8Array(floats.buffer) };
  });
}

export const asBfloat16 = (tensors: ReturnType<typeof tinyTensors>): TensorToWrite[] =>
  tensors.map((tensor) => ({ ...tensor, dtype: 'BF16', data: toBfloat16(tensor.data) }));

/** Writes a folder as transformers would, in one file or in shards with an index. */
export async function writeFolder(
  folder: string,
  tensors: readonly TensorToWrite[],
  { model = tinyModel, shards = 1 }: { model?: ModelConfig; shards?: number } = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { path, content } of checkpointSidecars(model)) await writeFile(join(folder, path), content);
  if (shards === 1) {
    await writeSafetensors(join(folder, 'model.safetensors'), tensors);
    return;
  }
  const weight_map: Record<string, string> = {};
  for (let i = 0; i < shards; i++) {
    const name = `model-0000${i + 1}-of-0000${shards}.safetensors`;
    const own = tensors.filter((_, k) => k % shards === i);
    for (const tensor of own) weight_map[tensor.name] = name;
    await writeSafetensors(join(folder, name), own);
  }
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map }));
}
