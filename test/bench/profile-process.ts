import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildGraph, stateNodesOf } from '../../src/compile/build.ts';
import type { GraphFunction, GraphNode } from '../../src/compile/graph.ts';
import { encodeSavedModel } from '../../src/compile/saved-model.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/safetensors/safetensors-write.ts';
import { freshState } from '../../src/train/state.ts';
import { stepDefinition } from '../../src/train/step.ts';
import type { StepName } from './names.ts';
import { noiseBatch } from './noise-batch.ts';
import { precisionOf, stepSettings } from './shapes.ts';
import { tuneSettings } from './tune-settings.ts';

/**
 * Writes the step of a shape as a SavedModel, its state and one batch into a folder, for trace_steps.py; and prints of which
 * kind each node is that a name alone does not tell. Arguments: folder, name, variant, runs.
 */
const [folder, name, variant, runs] = process.argv.slice(2) as [string, StepName | 'tune/b16', string, string];
const settings = name === 'tune/b16' ? tuneSettings(variant) : stepSettings(name, precisionOf(variant));
const precision = settings.precision ?? 'f32';
const definition = stepDefinition(settings);
const stateNodes = stateNodesOf(definition);
const { graph, outputs } = buildGraph(definition, { precision, device: 'cpu' });
writeFileSync(join(folder, 'saved_model.pb'), encodeSavedModel(graph));

const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => new Uint8Array(buffer, byteOffset, byteLength);
const dtypes = { float32: 'F32', int32: 'I32', uint8: 'U8' } as const;
const ones = (shape: readonly number[]) => new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1);
const state = freshState(settings);
const batch = noiseBatch(settings);
const feeds: Record<string, ArrayBufferView> = { images: batch.images, tokens: batch.tokens };
const tensors = [...stateNodes].map(([key, node]): TensorToWrite => {
  const { shape, dtype } = definition.state[key]!;
  return { name: `${node}_in`, dtype: dtypes[dtype], shape, data: bytes(state[key]!) };
});
for (const [key, { shape, dtype }] of Object.entries(definition.signatures.step!.feeds))
  tensors.push({ name: `step/feed/${key}`, dtype: dtypes[dtype], shape, data: bytes(feeds[key] ?? ones(shape)) });
await writeSafetensors(join(folder, 'feeds.safetensors'), tensors);
const nodes = [...stateNodes.values()];
const job = {
  written: nodes.map((node) => `${node}_in`),
  writes: nodes.map((node) => `${node}_done`),
  feeds: Object.keys(definition.signatures.step!.feeds).map((key) => `step/feed/${key}`),
  fetches: outputs.get('step')!.map((key) => `step/out/${key}`),
  runs: Number(runs),
};
writeFileSync(join(folder, 'job.json'), JSON.stringify(job));

/** A chain by what it computes. */
function chainKind({ body, outputs }: GraphFunction, isUpdate: boolean, readBy: ReadonlySet<string>): string {
  const has = new Set(body.map(({ op }) => op));
  if (isUpdate) return 'optimiser';
  if (has.has('Softplus')) return 'loss';
  if (has.has('Tanh')) return 'gelu';
  if (has.has('Rsqrt') || has.has('Mean')) return 'layer norm, residuals';
  if (has.has('Square') && readBy.has('Pack')) return 'norm of the gradient';
  if (has.has('Max') || has.has('Exp') || (has.has('Sub') && readBy.has('BatchMatMulV2'))) return 'softmax';
  return has.has('Sum') && outputs.length === 1 ? 'gradients of biases' : 'other chains';
}

const readers = new Map<string, GraphNode[]>();
for (const node of graph.nodes)
  for (const input of node.inputs) {
    const from = input.replace(/^\^/, '').split(':')[0]!;
    readers.set(from, [...(readers.get(from) ?? []), node]);
  }
const calls = graph.nodes.flatMap((node): [string, string][] => {
  const { f } = node.attrs;
  if (!f || !('func' in f)) return [];
  const readBy = new Set((readers.get(node.name) ?? []).map(({ op }) => op));
  const isUpdate = readBy.has('AssignVariableOp');
  return [[node.name, chainKind(graph.functions.get(f.func.name)!, isUpdate, readBy)]];
});
process.stdout.write(`${JSON.stringify({ ready: true, kinds: Object.fromEntries(calls) })}\n`);
process.exit(0);
