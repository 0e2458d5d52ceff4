import type { Tensor } from '@tensorflow/tfjs';
import { gatherRows } from '../compile/ops/gather-rows.ts';
import { encoder, linear, norm, type Parameters, parameter, type TowerOptions } from './layers.ts';
import { tokenTable } from './parameters.ts';
import type { ModelConfig } from './sizes.ts';

export interface TextOutput {
  /** (B L, D) after the last layer norm. */
  readonly encoded: Tensor;
  /** (B, E) not normalised. */
  readonly pooled: Tensor;
}

/**
 * The text tower: (B, L) int32 ids -> features. Letters: B texts, L tokens of one, D width. big_vision `text_transformer.py` with pool_type "last":
 * bidirectional, no padding mask, pooled at the last position even when it is padding, then a linear head.
 * (The paper says MAP head; the released checkpoints pool the last token.)
 */
export function textTower(
  p: Parameters,
  config: ModelConfig,
  tokens_BL: Tensor,
  options: TowerOptions = {},
): TextOutput {
  const { text } = config;
  const batch = tokens_BL.shape[0]!;
  const { length, width } = text;
  const embedded_BLxD = gatherRows(parameter(p, tokenTable), tokens_BL.reshape([batch * length]));
  const positions_LD = parameter(p, 'text_model.embeddings.position_embedding.weight');
  const x_BLxD = embedded_BLxD
    .reshape([batch, length, width])
    .add(positions_LD)
    .reshape([batch * length, width]);
  const encoded = norm(
    p,
    'text_model.final_layer_norm',
    encoder(p, 'text_model.encoder', text, x_BLxD, batch, options),
  );
  const last_B1D = encoded.reshape([batch, length, width]).slice([0, length - 1, 0], [batch, 1, width]);
  return { encoded, pooled: linear(p, 'text_model.head', last_B1D.reshape([batch, width])) };
}
