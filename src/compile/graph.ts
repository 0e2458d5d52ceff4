/** A TensorFlow graph in the making: nodes in order of creation, which is an order of execution. */

/** TensorFlow's DataType numbers (tensorflow/core/framework/types.proto). */
export const dataTypes = {
  float32: 1,
  int32: 3,
  uint8: 4,
  string: 7,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  uint16: 17,
  resource: 20,
  uint32: 22,
} as const;

/** A value as AttrValue of attr_value.proto has it. */
export type AttrValue =
  | { readonly type: number }
  | { readonly i: number }
  | { readonly f: number }
  | { readonly b: boolean }
  | { readonly s: Uint8Array }
  | { readonly shape: readonly number[] }
  | { readonly tensor: ConstantValue }
  | { readonly func: { readonly name: string } }
  | {
      readonly list: {
        readonly type?: readonly number[];
        readonly i?: readonly number[];
        readonly f?: readonly number[];
        readonly b?: readonly boolean[];
      };
    };

export interface ConstantValue {
  readonly dtype: number;
  readonly shape: readonly number[];
  /** Little-endian elements. */
  readonly content: Uint8Array;
}

/** Type and shape of one output of a node. */
export interface OutputSpec {
  readonly dtype: number;
  readonly shape: readonly number[];
}

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  /** `node:output`, or `^node` for a control edge. */
  readonly inputs: readonly string[];
  readonly attrs: Readonly<Record<string, AttrValue>>;
  readonly outputs: readonly OutputSpec[];
  /** The device that must run it; absent: TensorFlow chooses. */
  readonly device?: string;
}

/** A function of the graph's library, FunctionDef of function.proto. */
export interface GraphFunction {
  readonly name: string;
  readonly inputs: readonly { readonly name: string; readonly dtype: number }[];
  /** `value` names an output of the body as functions do: `node:argument:index`, or an input. */
  readonly outputs: readonly { readonly name: string; readonly dtype: number; readonly value: string }[];
  readonly body: readonly Omit<GraphNode, 'outputs'>[];
  /** Nodes of the body that run for what they do, such as writes of variables: no output needs them. */
  readonly effects?: readonly string[];
}

export class Graph {
  readonly nodes: GraphNode[] = [];
  /** By name: equal functions are one. */
  readonly functions = new Map<string, GraphFunction>();
  readonly #names = new Set<string>();
  readonly #constants = new Map<string, string>();

  /** Adds a node and returns its name; outputs are `name:0`, `name:1`, ... */
  add(
    op: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, AttrValue>> = {},
    name = `${op}_${this.nodes.length}`,
    outputs: readonly OutputSpec[] = [],
  ): string {
    if (this.#names.has(name)) throw new Error(`the graph has two nodes named ${name}`);
    this.#names.add(name);
    this.nodes.push({ name, op, inputs, attrs, outputs });
    return name;
  }

  /** A constant; equal constants share one node. Returns the output `name:0`. */
  constant(value: ConstantValue): string {
    const key = `${value.dtype}|${value.shape.join(',')}|${Buffer.from(value.content).toString('latin1')}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const attrs = { dtype: { type: value.dtype }, value: { tensor: value } };
    const output = `${this.add('Const', [], attrs, undefined, [{ dtype: value.dtype, shape: value.shape }])}:0`;
    this.#constants.set(key, output);
    return output;
  }
}
