import { type AttrValue, dataTypes, type GraphNode } from '../graph.ts';
import { producerOf } from './elementwise-parts.ts';

/**
 * What a chain is written as where XLA compiles it for a CPU: ops that it makes slow loops of, as others of the same
 * values. Measured on one core with AVX512_BF16: a GELU that ends in bfloat16 takes half of its time, the gradient of a
 * softmax a third, that of a bias half.
 *
 * - float32 to bfloat16 keeps LLVM from using vectors in the whole loop, and the way back in sums of columns. Rounding to the
 *   nearest, ties to even, is integer arithmetic as well. Infinity stays, and so does NaN, as arithmetic makes it: the
 *   largest magnitude is a NaN too.
 * - Sums along rows are added one by one, since their order is a promise; as products with ones they are added in vectors.
 */
export function vectorLoops(part: readonly GraphNode[], producers: ReadonlyMap<string, GraphNode>): GraphNode[] {
  const inside = new Map(part.map((node) => [node.name, node]));
  const nodeOf = (input: string) => inside.get(producerOf(input)) ?? producers.get(producerOf(input))!;
  return part.flatMap((node) => {
    if (isCast(node, float32, bfloat16)) return rounded(node, nodeOf(node.inputs[0]!));
    if (isCast(node, bfloat16, float32)) return widened(node, nodeOf(node.inputs[0]!));
    return isRowSum(node, nodeOf) ? rowSum(node, nodeOf(node.inputs[0]!)) : [node];
  });
}

/** Shorter rows are not worth a product. */
const shortestRow = 32;

const { float32, int32, uint16, uint32, bfloat16 } = dataTypes;

const is = (value: AttrValue | undefined, type: number) =>
  value !== undefined && 'type' in value && value.type === type;

const isCast = ({ op, attrs }: GraphNode, from: number, to: number) =>
  op === 'Cast' && is(attrs.SrcT, from) && is(attrs.DstT, to);

function isRowSum({ op, inputs, attrs }: GraphNode, nodeOf: (input: string) => GraphNode): boolean {
  if ((op !== 'Sum' && op !== 'Mean') || !is(attrs.T, float32)) return false;
  const { shape } = nodeOf(inputs[0]!).outputs[0]!;
  const axes = nodeOf(inputs[1]!).attrs.value;
  if (axes === undefined || !('tensor' in axes) || axes.tensor.content.length !== 4) return false;
  const axis = new Int32Array(axes.tensor.content.slice().buffer)[0]!;
  return shape.length > 1 && (axis === -1 || axis === shape.length - 1) && shape.at(-1)! >= shortestRow;
}

/** Nodes of one op of the chain: the last has its name, so that whoever read it reads them. */
class Replacing {
  readonly nodes: GraphNode[] = [];
  readonly #name: string;

  constructor({ name }: GraphNode) {
    this.#name = name;
  }

  add(
    op: string,
    inputs: readonly string[],
    attrs: GraphNode['attrs'],
    [dtype, shape]: readonly [number, readonly number[]],
  ) {
    const name = `${this.#name}_${this.nodes.length}`;
    this.nodes.push({ name, op, inputs, attrs, outputs: [{ dtype, shape }] });
    return `${name}:0`;
  }

  constant(dtype: number, values: Uint32Array | Int32Array | Float32Array, shape: readonly number[] = []): string {
    const content = new Uint8Array(values.buffer);
    return this.add('Const', [], { dtype: { type: dtype }, value: { tensor: { dtype, shape, content } } }, [
      dtype,
      shape,
    ]);
  }

  finished(): GraphNode[] {
    return this.nodes.with(-1, { ...this.nodes.at(-1)!, name: this.#name });
  }
}

function rounded(node: GraphNode, { outputs }: GraphNode): GraphNode[] {
  const { shape } = outputs[0]!;
  const to = new Replacing(node);
  const number = (value: number) => to.constant(uint32, Uint32Array.of(value));
  const T = { T: { type: uint32 } };
  const on = (op: string, a: string, b: string) => to.add(op, [a, b], T, [uint32, shape]);
  const bits = to.add('Bitcast', [node.inputs[0]!], { T: { type: float32 }, type: { type: uint32 } }, [uint32, shape]);
  const magnitude = on('BitwiseAnd', bits, number(0x7fff_ffff));
  const odd = on('BitwiseAnd', on('RightShift', bits, number(16)), number(1));
  const up = on('AddV2', on('AddV2', magnitude, number(0x7fff)), odd);
  const sign = on('BitwiseAnd', bits, number(0x8000_0000));
  const whole = on('BitwiseOr', on('Minimum', up, number(0x7fff_ffff)), sign);
  const high = on('RightShift', whole, number(16));
  const cast = { SrcT: { type: uint32 }, DstT: { type: uint16 }, Truncate: { b: false } };
  const half = to.add('Cast', [high], cast, [uint16, shape]);
  to.add('Bitcast', [half], { T: { type: uint16 }, type: { type: bfloat16 } }, [bfloat16, shape]);
  return to.finished();
}

function widened(node: GraphNode, { outputs }: GraphNode): GraphNode[] {
  const { shape } = outputs[0]!;
  const to = new Replacing(node);
  const half = to.add('Bitcast', [node.inputs[0]!], { T: { type: bfloat16 }, type: { type: uint16 } }, [uint16, shape]);
  const cast = { SrcT: { type: uint16 }, DstT: { type: uint32 }, Truncate: { b: false } };
  const low = to.add('Cast', [half], cast, [uint32, shape]);
  const sixteen = to.constant(uint32, Uint32Array.of(16));
  const bits = to.add('LeftShift', [low, sixteen], { T: { type: uint32 } }, [uint32, shape]);
  to.add('Bitcast', [bits], { T: { type: uint32 }, type: { type: float32 } }, [float32, shape]);
  return to.finished();
}

function rowSum(node: GraphNode, { outputs }: GraphNode): GraphNode[] {
  const { shape } = outputs[0]!;
  const length = shape.at(-1)!;
  const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const to = new Replacing(node);
  const T = { T: { type: float32 } };
  const reshaped = (x: string, wanted: readonly number[]) => {
    const dims = to.constant(int32, Int32Array.from(wanted), [wanted.length]);
    return to.add('Reshape', [x, dims], { ...T, Tshape: { type: int32 } }, [float32, wanted]);
  };
  const matrix = shape.length === 2 ? node.inputs[0]! : reshaped(node.inputs[0]!, [rows, length]);
  const dims = to.constant(int32, Int32Array.of(length, 1), [2]);
  const one = to.constant(float32, Float32Array.of(1));
  const ones = to.add('Fill', [dims, one], { ...T, index_type: { type: int32 } }, [float32, [length, 1]]);
  const flags = { transpose_a: { b: false }, transpose_b: { b: false } };
  let sums = to.add('MatMul', [matrix, ones], { ...T, ...flags }, [float32, [rows, 1]]);
  if (node.op === 'Mean')
    sums = to.add('RealDiv', [sums, to.constant(float32, Float32Array.of(length))], T, [float32, [rows, 1]]);
  const wanted = node.outputs[0]!.shape;
  if (wanted.join() !== [rows, 1].join()) reshaped(sums, wanted);
  return to.finished();
}
