import { isFloat32 } from '../attributes.ts';
import { dataTypes, Graph, type GraphNode } from '../graph.ts';
import { staysFloat32 } from '../trace.ts';

/**
 * Mixed precision as a rewrite of the recorded graph: float matmuls read and write bfloat16. Everything else (master
 * weights, softmax, statistics, loss, optimiser) stays float32; products are summed in float32 inside the kernels.
 * So do the matmuls that end in a loss (`ops/float32-matmul.ts`).
 *
 * Casts stand where they cost nothing. A value becomes bfloat16 once, right after the op that made it, and float32
 * again right before each op that reads it, so that both casts melt into the elementwise chains on either side.
 * Reshapes and transposes between the two move bfloat16: half the bytes, the same values.
 */
export function bfloat16Matmuls(graph: Graph): Graph {
  const result = new Graph();
  const wanted = wantedHalves(graph);
  /** The bfloat16 form of an output of the old graph. */
  const halves = new Map<string, string>();
  /** Outputs that exist as bfloat16 only; whoever wants float32 casts. */
  const native = new Set<string>();

  const cast = (output: string, shape: readonly number[], to: number, name: string): string => {
    const from = to === dataTypes.bfloat16 ? dataTypes.float32 : dataTypes.bfloat16;
    const attrs = { SrcT: { type: from }, DstT: { type: to }, Truncate: { b: false } };
    return `${result.add('Cast', [output], attrs, name, [{ dtype: to, shape }])}:0`;
  };
  const shapes = new Map(
    graph.nodes.flatMap(({ name, outputs }) =>
      outputs.map(({ shape }, i) => [`${name}:${i}` as string, shape] as const),
    ),
  );

  for (const node of graph.nodes) {
    const outputs = node.outputs.map((_, i) => `${node.name}:${i}`);
    const asHalves = node.outputs.map(({ shape }) => ({ dtype: dataTypes.bfloat16, shape }));
    const data = dataInputs(node);
    if (isFloatMatmul(node)) {
      const inputs = node.inputs.map((input) => halves.get(input)!);
      result.add(node.op, inputs, withHalves(node), node.name, asHalves);
      halves.set(outputs[0]!, outputs[0]!);
      native.add(outputs[0]!);
      continue;
    }
    // The softmax of a product reads and writes bfloat16, as its neighbours do, and computes in float32.
    if (node.op === 'Softmax' && native.has(node.inputs[0]!)) {
      result.add(node.op, [halves.get(node.inputs[0]!)!], withHalves(node), node.name, asHalves);
      halves.set(outputs[0]!, outputs[0]!);
      native.add(outputs[0]!);
      continue;
    }
    const moves = data.length > 0;
    const nativeMove = moves && data.every((input) => native.has(input));
    if (nativeMove || (moves && outputs.some((output) => wanted.has(output)))) {
      const inputs = node.inputs.map((input, i) => (i < data.length ? halves.get(input)! : input));
      const moved = result.add(node.op, inputs, withHalves(node), `${node.name}_half`, asHalves);
      for (const [i, output] of outputs.entries()) {
        halves.set(output, `${moved}:${i}`);
        if (nativeMove) native.add(output);
      }
      if (nativeMove) continue;
    }
    const inputs = node.inputs.map((input, i) =>
      native.has(input)
        ? cast(halves.get(input)!, shapes.get(input)!, dataTypes.float32, `${node.name}_in${i}`)
        : input,
    );
    result.add(node.op, inputs, node.attrs, node.name, node.outputs);
    for (const [i, output] of outputs.entries()) {
      if (!wanted.has(output) || halves.has(output)) continue;
      halves.set(output, cast(output, node.outputs[i]!.shape, dataTypes.bfloat16, `${node.name}_half${i}`));
    }
  }
  return result;
}

/** Outputs whose bfloat16 form some matmul reads, directly or through reshapes and transposes. */
function wantedHalves(graph: Graph): ReadonlySet<string> {
  const wanted = new Set<string>();
  for (const node of [...graph.nodes].reverse()) {
    if (isFloatMatmul(node)) for (const input of node.inputs) wanted.add(input);
    else if (node.outputs.some((_, i) => wanted.has(`${node.name}:${i}`))) {
      for (const input of dataInputs(node)) wanted.add(input);
    }
  }
  return wanted;
}

const isFloatMatmul = (node: GraphNode) =>
  (node.op === 'BatchMatMulV2' || node.op === 'MatMul') && isFloat32(node) && !(staysFloat32 in node.attrs);
/** The inputs that a float op only moves about; the others are shapes and axes. None for an op that computes. */
function dataInputs(node: GraphNode): readonly string[] {
  if (!isFloat32(node)) return [];
  if (node.op === 'Reshape' || node.op === 'Transpose' || node.op === 'Unpack') return node.inputs.slice(0, 1);
  return node.op === 'Pack' ? node.inputs : [];
}
const withHalves = ({ attrs }: GraphNode) => ({ ...attrs, T: { type: dataTypes.bfloat16 } });
