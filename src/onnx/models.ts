import { tokenTable } from '../model/parameters.ts';
import { embeddingWidth, type ModelConfig } from '../model/sizes.ts';
import { type FloatKind, GraphBuilder } from './graph.ts';
import { encoder, linear } from './layers.ts';
import { type TowerValues, visionTower } from './vision.ts';
import type { Weights } from './weights.ts';

/** What may be exported, by the file that optimum and transformers.js know it by. */
export const parts = {
  both: 'model',
  image: 'vision_model',
  text: 'text_model',
  decoder: 'decoder_model',
} as const;
export type Part = keyof typeof parts;
/** What every model has. */
export type TowerPart = Exclude<Part, 'decoder'>;

/** A part of a model as a graph, with the inputs and outputs that optimum gives it. All that is given is float32. */
export function graphOf(
  part: TowerPart,
  w: Weights,
  config: ModelConfig,
  float: FloatKind,
  opset: number,
): GraphBuilder {
  const g = new GraphBuilder(float, opset);
  const width = embeddingWidth(config);
  if (part !== 'both') {
    const batch = 'batch_size';
    const image = part === 'image';
    const { encoded, pooled } = image ? visionTower(g, w, config, batch) : textTower(g, w, config, batch);
    const length = image ? 'sequence_length' : config.text.length;
    g.output('last_hidden_state', encoded, [batch, length, image ? width : config.text.width]);
    g.output('pooler_output', pooled, [batch, width]);
    return g;
  }
  const [texts, images] = ['text_batch_size', 'image_batch_size'] as const;
  const text = normalised(g, textTower(g, w, config, texts).pooled);
  const image = normalised(g, visionTower(g, w, config, images).pooled);
  const scale = g.op('Exp', [w.plain(g, 'logit_scale', 'f32')]);
  const cosines = g.op('MatMul', [text, g.op('Transpose', [image], { perm: [1, 0] })]);
  const logits = g.op('Add', [g.op('Mul', [cosines, scale]), w.plain(g, 'logit_bias', 'f32')]);
  g.output('logits_per_image', g.op('Transpose', [logits], { perm: [1, 0] }), [images, texts], 'f32');
  g.output('logits_per_text', logits, [texts, images], 'f32');
  g.output('text_embeds', text, [texts, width], 'f32');
  g.output('image_embeds', image, [images, width], 'f32');
  return g;
}

/**
 * The text tower. A text has as many tokens as the model was trained with, padding and all: the last of them is what the
 * model pools, so a shorter input would be answered wrongly, and a reader refuses it.
 */
function textTower(g: GraphBuilder, w: Weights, { text }: ModelConfig, batch: string): TowerValues {
  const ids = g.input('input_ids', 'i64', [batch, text.length]);
  const tokens = g.op('Gather', [w.plain(g, tokenTable), ids], { axis: 0 });
  const embedded = g.op('Add', [tokens, w.plain(g, 'text_model.embeddings.position_embedding.weight')]);
  const encoded = encoder(g, w, 'text_model', text, embedded, 'final_layer_norm');
  const last = g.op('Gather', [encoded, g.whole(text.length - 1)], { axis: 1 });
  return { encoded, pooled: linear(g, w, 'text_model.head', last) };
}

/** Rows of length one, in float32: the sum of squares may be more than float16 holds. */
function normalised(g: GraphBuilder, rows: string): string {
  const x = g.toFloat32(rows);
  const length = g.op('Sqrt', [g.op('ReduceSum', [g.op('Mul', [x, x]), g.whole([1])])]);
  return g.op('Div', [x, g.op('Add', [length, g.number(1e-8, 'f32')])]);
}
