import { patchGrid } from '../../model/parameters.ts';
import { embeddingWidth, type ModelConfig, type TowerSize, wholeVocabulary } from '../../model/sizes.ts';

/** A file beside `model.safetensors`. */
export interface FolderFile {
  readonly path: string;
  readonly content: string;
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

// Every field is written although some are defaults of transformers: defaults change between versions, folders stay.
const tower = ({ width, depth, mlp, heads }: TowerSize) => ({
  hidden_size: width,
  intermediate_size: mlp,
  num_hidden_layers: depth,
  num_attention_heads: heads,
  hidden_act: 'gelu_pytorch_tanh',
  layer_norm_eps: 1e-6,
  attention_dropout: 0,
});

/**
 * `config.json` of a transformers SiglipModel, the first model's type that fixed-resolution SigLIP 2 checkpoints have,
 * or of a Siglip2Model for NaFlex. The token table has all 256,000 rows whatever training used,
 * and those of added tokens, which transformers keeps the names of and does not read; the ids of padding
 * and end are Gemma's, which the defaults of SiglipTextConfig are not.
 */
export function modelConfigFile(config: ModelConfig, dtype: 'f32' | 'bf16' = 'f32'): FolderFile {
  const { vision, text } = config;
  const naflex = vision.kind === 'naflex';
  const type = naflex ? 'siglip2' : 'siglip';
  const content = {
    architectures: [naflex ? 'Siglip2Model' : 'SiglipModel'],
    model_type: type,
    dtype: dtype === 'bf16' ? 'bfloat16' : 'float32',
    text_config: {
      model_type: `${type}_text_model`,
      ...tower(text),
      vocab_size: wholeVocabulary(text),
      ...(text.addedTokens && { added_tokens: text.addedTokens }),
      max_position_embeddings: text.length,
      projection_size: embeddingWidth(config),
      pad_token_id: 0,
      eos_token_id: 1,
      bos_token_id: 2,
    },
    vision_config: {
      model_type: `${type}_vision_model`,
      ...tower(vision),
      num_channels: 3,
      ...(naflex ? { num_patches: patchGrid(config) ** 2 } : { image_size: vision.resolution }),
      patch_size: vision.patch,
      vision_use_head: true,
    },
  };
  return { path: 'config.json', content: json(content) };
}

export const processorClass = ({ vision: { kind } }: ModelConfig): string =>
  kind === 'naflex' ? 'Siglip2Processor' : 'SiglipProcessor';

/**
 * `preprocessor_config.json`: a plain bilinear resize, to the square or for NaFlex to `patches`, which are as many as
 * there are stored positions where nothing else is said, then x / 127.5 - 1.
 */
export function preprocessorFile(config: ModelConfig, patches: number = patchGrid(config) ** 2): FolderFile {
  const { resolution, patch, kind } = config.vision;
  const naflex = kind === 'naflex';
  const content = {
    processor_class: processorClass(config),
    image_processor_type: naflex ? 'Siglip2ImageProcessor' : 'SiglipImageProcessor',
    do_convert_rgb: true,
    do_resize: true,
    ...(naflex ? { patch_size: patch, max_num_patches: patches } : { size: { height: resolution, width: resolution } }),
    resample: 2, // PIL's BILINEAR
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
  };
  return { path: 'preprocessor_config.json', content: json(content) };
}

/** What a checkpoint carries beside its tensors: small, and enough for `AutoModel` and the image processor. */
export function checkpointSidecars(config: ModelConfig, dtype: 'f32' | 'bf16' = 'f32', patches?: number): FolderFile[] {
  return [modelConfigFile(config, dtype), preprocessorFile(config, patches)];
}
