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
  const shapes = new Map(
    graph.nodes.flatMap(({ name, outputs }) => outputs.map(({ shape }, i) => [`${name}:${i}`, shape])),
  );
  const cast = (output: string, original: string, from: number, to: number, name: string): string => {
    const attrs = { SrcT: { type: from }, DstT: { type: to }, Truncate: { b: false } };
    return `${result.add('Cast', [output], attrs, name, [{ dtype: to, shape: shapes.get(original)! }])}:0`;
  };
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => renamed.get(input) ?? input);
    if (!isFloatMatmul(node)) {
      result.add(node.op, inputs, node.attrs, node.name, node.outputs);
      continue;
    }
    const halves = inputs.map((input, i) => {
      const known = casts.get(input);
      if (known !== undefined) return known;
      const half = cast(
        input,
        node.inputs[i]!,
        dataTypes.float32,
        dataTypes.bfloat16,
        `${input.replace(/[:^]/g, '_')}_bf16`,
      );
      casts.set(input, half);
      return half;
    });
    const { shape } = node.outputs[0]!;
    const half = { dtype: dataTypes.bfloat16, shape };
    result.add(node.op, halves, { ...node.attrs, T: { type: dataTypes.bfloat16 } }, node.name, [half]);
    const output = `${node.name}:0`;
    renamed.set(output, cast(output, output, dataTypes.bfloat16, dataTypes.float32, `${node.name}_f32`));
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
