import { patchGrid } from '../model/parameters.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { GraphBuilder } from './graph.ts';
import { attend, encoder, inHeads, linear, mlp, norm } from './layers.ts';
import { keyMask, positions } from './naflex-positions.ts';
import type { Weights } from './weights.ts';

/** What a tower makes, in the graph's type. */
export interface TowerValues {
  /** (B, N, D) */
  readonly encoded: string;
  /** (B, D), not normalised. */
  readonly pooled: string;
}

const embeddings = 'vision_model.embeddings';

/** The image tower and its inputs, named as transformers names them. `batch`: the name of the batch's dimension. */
export function visionTower(g: GraphBuilder, w: Weights, config: ModelConfig, batch: string): TowerValues {
  const { vision } = config;
  const { embedded, mask } = vision.kind === 'naflex' ? patches(g, w, config, batch) : squares(g, w, config, batch);
  const encoded = encoder(g, w, 'vision_model', vision, embedded, 'post_layernorm', mask);
  return { encoded, pooled: g.within('vision_model.head', () => mapHead(g, w, config, encoded, mask)) };
}

interface Embedded {
  readonly embedded: string;
  readonly mask?: string;
}

/** Squares of one size, as SiglipModel takes them. What is left over at the border no patch covers. */
function squares(g: GraphBuilder, w: Weights, { vision }: ModelConfig, batch: string): Embedded {
  const { resolution, patch, width } = vision;
  const pixels = g.fromFloat32(g.input('pixel_values', 'f32', [batch, 3, resolution, resolution]));
  const weights = ['weight', 'bias'].map((kind) => w.plain(g, `${embeddings}.patch_embedding.${kind}`));
  const grid = g.op('Conv', [pixels, ...weights], { kernel_shape: [patch, patch], strides: [patch, patch] });
  const rows = g.op('Transpose', [g.op('Reshape', [grid, g.whole([0, width, -1])])], { perm: [0, 2, 1] });
  return { embedded: g.op('Add', [rows, w.plain(g, `${embeddings}.position_embedding.weight`)]) };
}

/** Pictures of any shape as rows of patches, as Siglip2Model takes them. */
function patches(g: GraphBuilder, w: Weights, config: ModelConfig, batch: string): Embedded {
  const { patch } = config.vision;
  const pixels = g.fromFloat32(g.input('pixel_values', 'f32', [batch, 'num_patches', 3 * patch ** 2]));
  const seen = g.toFloat32(g.input('pixel_attention_mask', 'i64', [batch, 'num_patches']));
  const shapes = g.toFloat32(g.input('spatial_shapes', 'i64', [batch, 2]));
  const rows = linear(g, w, `${embeddings}.patch_embedding`, pixels);
  // Where a patch lies is found in float32, whatever the towers compute in: 16 bits don't hold its number.
  const table = w.plain(g, `${embeddings}.position_embedding.weight`, 'f32');
  const placed = g.within('vision_model.positions', () => positions(g, seen, shapes, table, patchGrid(config)));
  return { embedded: g.op('Add', [rows, g.fromFloat32(placed)]), mask: keyMask(g, seen) };
}

/** Multihead attention pooling: (B, N, D) -> (B, D). The probe's query is the same for all pictures, so it is a weight. */
function mapHead(g: GraphBuilder, w: Weights, { vision }: ModelConfig, encoded: string, mask?: string): string {
  const { width, heads } = vision;
  const head = 'vision_model.head';
  const projected = (x: string, i: number) => {
    const rows = { first: i * width, count: width };
    const weight = w.transposed(g, `${head}.attention.in_proj_weight`, rows);
    return g.op('Add', [g.op('MatMul', [x, weight]), w.part(g, `${head}.attention.in_proj_bias`, rows)]);
  };
  const query = w.made(
    g,
    `${head}.query`,
    [1, heads, 1, width / heads],
    ['probe', 'attention.in_proj_weight', 'attention.in_proj_bias'].map((name) => `${head}.${name}`),
    (probe, weight, bias) => scaledQuery(probe!, weight!, bias!, heads),
  );
  const keys = inHeads(g, projected(encoded, 1), vision, true);
  const values = inHeads(g, projected(encoded, 2), vision);
  const hidden = linear(g, w, `${head}.attention.out_proj`, attend(g, vision, [query, keys, values], mask));
  const pooled = g.op('Add', [hidden, mlp(g, w, `${head}.mlp`, norm(g, w, `${head}.layernorm`, hidden))]);
  return g.op('Squeeze', [pooled, g.whole([1])]);
}

/** What the probe asks with, divided by sqrt(D/H): probe (D), weight of queries, keys and values (3 D, D), bias (3 D) -> (D). */
function scaledQuery(probe: Float32Array, weight: Float32Array, bias: Float32Array, heads: number): Float32Array {
  const width = probe.length;
  return Float32Array.from(probe, (_, i) => {
    let sum = bias[i]!;
    for (let k = 0; k < width; k++) sum += weight[i * width + k]! * probe[k]!;
    return sum * Math.sqrt(heads / width);
  });
}
