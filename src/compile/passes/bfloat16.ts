import { dataTypes, Graph, type GraphNode } from '../graph.ts';

/**
 * Mixed precision as a rewrite of the recorded graph: every float matmul reads bfloat16 copies of its inputs and
 * gives back float32. Everything else (master weights, softmax, statistics, loss, optimiser) stays float32. A value
 * that several matmuls read is cast once. Multiplications accumulate in float32 inside the kernels.
 */
export function bfloat16Matmuls(graph: Graph): Graph {
  const result = new Graph();
  const renamed = new Map<string, string>();
  const casts = new Map<string, string>();
  const cast = (output: string, from: number, to: number, name: string): string => {
    const attrs = { SrcT: { type: from }, DstT: { type: to }, Truncate: { b: false } };
    return `${result.add('Cast', [output], attrs, name)}:0`;
  };
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => renamed.get(input) ?? input);
    if (!isFloatMatmul(node)) {
      result.add(node.op, inputs, node.attrs, node.name);
      continue;
    }
    const halves = inputs.map((input) => {
      const known = casts.get(input);
      if (known !== undefined) return known;
      const half = cast(input, dataTypes.float32, dataTypes.bfloat16, `${input.replace(/[:^]/g, '_')}_bf16`);
      casts.set(input, half);
      return half;
    });
    const matmul = result.add(node.op, halves, { ...node.attrs, T: { type: dataTypes.bfloat16 } }, node.name);
    renamed.set(`${node.name}:0`, cast(`${matmul}:0`, dataTypes.bfloat16, dataTypes.float32, `${node.name}_f32`));
  }
  return result;
}

function isFloatMatmul({ op, attrs }: GraphNode): boolean {
  const type = attrs.T;
  return (
    (op === 'BatchMatMulV2' || op === 'MatMul') &&
    type !== undefined &&
    'type' in type &&
    type.type === dataTypes.float32
  );
}
