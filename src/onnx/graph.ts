import type { Attribute, Dimension, ElementType, Node, Port } from './proto.ts';
import { elementBytes } from './proto.ts';

/** Numbers that lie in a model: read when they are written, in chunks. */
export interface Weight {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Little-endian. */
  readonly data: () => AsyncIterable<Uint8Array>;
}

/** Type of the numbers that a graph computes with. */
export type FloatKind = 'f32' | 'f16';

export const weightBytes = ({ type, shape }: Weight): number => shape.reduce((a, b) => a * b, elementBytes[type]);

/** An ONNX graph as it is put together. What nodes give is known by name; ONNX Runtime finds types and shapes itself. */
export class GraphBuilder {
  readonly nodes: Node[] = [];
  readonly weights = new Map<string, Weight>();
  readonly inputs: Port[] = [];
  readonly outputs: Port[] = [];
  readonly float: FloatKind;
  readonly opset: number;
  #scope = '';
  readonly #counts = new Map<string, number>();

  constructor(float: FloatKind, opset: number) {
    this.float = float;
    this.opset = opset;
  }

  /** Names of what `make` adds begin with `name`. */
  within<T>(name: string, make: () => T): T {
    const before = this.#scope;
    this.#scope = `${before}${name.replaceAll('.', '/')}/`;
    try {
      return make();
    } finally {
      this.#scope = before;
    }
  }

  input(name: string, type: ElementType, shape: readonly Dimension[]): string {
    this.inputs.push({ name, type, shape });
    return name;
  }

  /** Gives `value`, numbers of the graph's type or of `type`, as float32. */
  output(name: string, value: string, shape: readonly Dimension[], type: FloatKind = this.float): void {
    this.outputs.push({ name, type: 'f32', shape });
    const node = { name: `output/${name}`, inputs: [value], output: name };
    this.nodes.push(
      type === 'f32' ? { ...node, op: 'Identity', attributes: {} } : { ...node, op: 'Cast', attributes: { to: 1 } },
    );
  }

  weight(weight: Weight): string {
    this.weights.set(weight.name, weight);
    return weight.name;
  }

  op(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const base = `${this.#scope}${op}`;
    const count = this.#counts.get(base) ?? 0;
    this.#counts.set(base, count + 1);
    const name = count === 0 ? base : `${base}_${count}`;
    this.nodes.push({ name, op, inputs, output: name, attributes });
    return name;
  }

  /** Whole numbers that are the same in every model: a list, or one of no dimension. */
  whole(values: number | readonly number[]): string {
    const list = typeof values === 'number' ? [values] : values;
    const bytes = new Uint8Array(BigInt64Array.from(list, BigInt).buffer);
    const shape = typeof values === 'number' ? [] : [list.length];
    return this.#constant(`whole/${typeof values === 'number' ? values : `[${list.join(',')}]`}`, 'i64', shape, bytes);
  }

  /** One number of the graph's type, or of `type`. */
  number(value: number, type: FloatKind = this.float): string {
    const name = `number/${value}`;
    const float = this.#constant(name, 'f32', [], new Uint8Array(Float32Array.of(value).buffer));
    return type === 'f32' ? float : this.op('Cast', [float], { to: 10 });
  }

  /** Float32 as numbers of the graph's type. */
  fromFloat32 = (value: string): string => (this.float === 'f32' ? value : this.op('Cast', [value], { to: 10 }));
  /** Numbers of the graph's type, or whole ones, as float32. */
  toFloat32 = (value: string): string => this.op('Cast', [value], { to: 1 });

  #constant(name: string, type: ElementType, shape: readonly number[], bytes: Uint8Array): string {
    return this.weight({
      name,
      type,
      shape,
      async *data() {
        yield bytes;
      },
    });
  }
}
