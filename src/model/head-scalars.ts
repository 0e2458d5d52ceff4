import { join } from 'node:path';
import { SafetensorsFile } from '../safetensors/safetensors.ts';

/** logit_scale and logit_bias of the `model.safetensors` below a folder. CheckpointDamaged when one is missing. */
export async function readHead(folder: string): Promise<{ logitScale: number; logitBias: number }> {
  const file = await SafetensorsFile.open(join(folder, 'model.safetensors'));
  try {
    const [scale, bias] = [await file.readFloats('logit_scale', [1]), await file.readFloats('logit_bias', [1])];
    return { logitScale: scale[0]!, logitBias: bias[0]! };
  } finally {
    await file.close();
  }
}
