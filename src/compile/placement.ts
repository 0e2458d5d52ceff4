import { RunnerError } from '../runtime/errors.ts';
import { dataTypes, Graph, type GraphNode } from './graph.ts';

export type DeviceKind = 'cpu' | 'gpu';

/** The one GPU of a process. */
const gpu = '/device:GPU:0';

/**
 * Ops that belong on the host even where a GPU trains. None does: what a step is made of all has kernels for GPUs
 * (test/compile/placement.test.ts), and a new op that has none is to be noticed, not to run slowly.
 */
export const hostOps: ReadonlySet<string> = new Set();

/**
 * The graph with every op bound to the GPU. TensorFlow would otherwise run an op that it has no GPU kernel for on the
 * CPU, without a word, and copy back and forth at every step; bound, it refuses.
 */
export function placed(graph: Graph, device: DeviceKind): Graph {
  if (device === 'cpu') return graph;
  const result = new Graph();
  for (const [name, body] of graph.functions) result.functions.set(name, body);
  for (const node of graph.nodes) result.nodes.push(hostOps.has(node.op) ? node : { ...node, device: gpu });
  return result;
}

/** TensorFlow's refusal to place an op of a graph, which comes when it is loaded, as a sentence; null for another error. */
export function placementError({ message }: Error, { nodes }: Graph): RunnerError | null {
  const [, name] = /Cannot assign a device for operation ([^\s:]+)/.exec(message) ?? [];
  if (name === undefined) return null;
  const node = nodes.find((one) => one.name === name);
  const what = node ? `${node.op}${typesOf(node)} (${name})` : name;
  const why = message.includes('no supported kernel') ? 'has no kernel for it there' : 'sees no GPU';
  return new RunnerError(
    'DeviceMissing',
    `the op ${what} is to run on the GPU, and TensorFlow ${why}; nothing falls back to the CPU unasked: ` +
      'type npm run siglip2 -- doctor, or set SIGLIP2_DEVICE=cpu to train on the CPU',
  );
}

const typeNames: ReadonlyMap<number, string> = new Map(Object.entries(dataTypes).map(([name, type]) => [type, name]));

function typesOf({ attrs }: GraphNode): string {
  const types = Object.values(attrs).flatMap((value) => ('type' in value ? [typeNames.get(value.type)!] : []));
  return types.length > 0 ? ` of ${[...new Set(types)].join(' and ')}` : '';
}
