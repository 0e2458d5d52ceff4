import { join } from 'node:path';
import { SafetensorsFile } from '../safetensors/safetensors.ts';
import type { ModelConfig } from './sizes.ts';

/** What of the MAP head says where it looks: of each head a direction in the space of patches. */
export interface MapAttention {
  readonly heads: number;
  readonly width: number;
  /** (H, D): the score of a patch for a head is its product with that head's row, beside what is the same for all patches. */
  readonly rows: Float64Array;
}

const head = 'vision_model.head';

/** The MAP head below `folder`. CheckpointDamaged where a tensor is missing. */
export async function openMapAttention(folder: string, { vision }: ModelConfig): Promise<MapAttention> {
  const { width, heads } = vision;
  const file = await SafetensorsFile.open(join(folder, 'model.safetensors'));
  try {
    return foldAttention({
      weight: await file.readFloats(`${head}.attention.in_proj_weight`, [3 * width, width]),
      bias: await file.readFloats(`${head}.attention.in_proj_bias`, [3 * width]),
      probe: await file.readFloats(`${head}.probe`, [1, 1, width]),
      heads,
    });
  } finally {
    await file.close();
  }
}

/**
 * The probe, the query and the key as one row for each head: what the key's bias adds is the same for all patches, and the
 * softmax over them takes it away. Weight (3 D, D), bias (3 D), probe (D).
 */
export function foldAttention({
  weight,
  bias,
  probe,
  heads,
}: {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly probe: Float32Array;
  readonly heads: number;
}): MapAttention {
  const width = probe.length;
  const size = width / heads;
  const rows = new Float64Array(heads * width);
  for (let i = 0; i < width; i++) {
    let query = bias[i]!;
    for (let k = 0; k < width; k++) query += weight[i * width + k]! * probe[k]!;
    const own = Math.floor(i / size) * width;
    const key = (width + i) * width;
    for (let k = 0; k < width; k++) rows[own + k]! += (query * weight[key + k]!) / Math.sqrt(size);
  }
  return { heads, width, rows };
}

/** (H, N) shares that each head gives to the patches of a picture, (N, D) `last_hidden_state` without padding. */
export function attentionTo({ heads, width, rows }: MapAttention, patches: Float32Array): Float64Array {
  const n = patches.length / width;
  const shares = new Float64Array(heads * n);
  for (let h = 0; h < heads; h++) {
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < n; i++) {
      let score = 0;
      for (let k = 0; k < width; k++) score += patches[i * width + k]! * rows[h * width + k]!;
      shares[h * n + i] = score;
      most = Math.max(most, score);
    }
    let sum = 0;
    for (let i = h * n; i < (h + 1) * n; i++) sum += shares[i] = Math.exp(shares[i]! - most);
    for (let i = h * n; i < (h + 1) * n; i++) shares[i]! /= sum;
  }
  return shares;
}
