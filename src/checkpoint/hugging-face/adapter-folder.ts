import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AdapterSize, adaptedLayers, adapterA, adapterB, adapterMagnitude } from '../../model/adapters.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { type TensorToWrite, writeSafetensors } from '../../safetensors/safetensors.ts';

/** Where an export has its adapters: beside the model with them added, and not where transformers would add them again. */
export const adapterFolder = 'adapter';

/** Where the file of adapters says which weights they are of: a `baseFingerprint`. */
export const baseMetadata = 'siglip2_base';

/** What peft's `adapter_config.json` has to say; what it leaves out has peft's defaults. */
export function adapterConfig(model: ModelConfig, lora: AdapterSize) {
  return {
    peft_type: 'LORA',
    task_type: null,
    base_model_name_or_path: null,
    r: lora.rank,
    lora_alpha: lora.alpha,
    // Whole names: an ending such as out_proj would mean the head of the images as well.
    target_modules: adaptedLayers(model, lora).map(({ layer }) => layer),
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: false,
    use_rslora: false,
    use_dora: lora.useDora ?? false,
    modules_to_save: null,
    inference_mode: true,
  };
}

/**
 * Writes the adapters of a model below `folder` as peft's `PeftModel.from_pretrained` reads them. `read` gives the bytes of an
 * adapter by its name, `base` is a `baseFingerprint` of the weights that they were trained on. Returns the names of the files.
 */
export async function writeAdapterFolder(
  folder: string,
  model: ModelConfig,
  lora: AdapterSize,
  read: (name: string) => Promise<Uint8Array>,
  base: string,
): Promise<string[]> {
  const tensors: TensorToWrite[] = [];
  for (const { layer, shape } of adaptedLayers(model, lora)) {
    const [output, input] = shape;
    for (const [name, own] of [
      [adapterA(layer), [lora.rank, input]],
      [adapterB(layer), [output, lora.rank]],
      ...(lora.useDora ? [[adapterMagnitude(layer), [output]] as const] : []),
    ] as const)
      tensors.push({ name: `base_model.model.${name}`, dtype: 'F32', shape: own, data: await read(name) });
  }
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors, {
    metadata: { format: 'pt', [baseMetadata]: base },
  });
  await writeFile(join(folder, 'adapter_config.json'), `${JSON.stringify(adapterConfig(model, lora), null, 2)}\n`);
  return ['adapter_config.json', 'adapter_model.safetensors'];
}
