import type { Tensor, TensorInfo } from '@tensorflow/tfjs';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import type { TFEOpAttr, TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { dataTypes, type OutputSpec } from './graph.ts';

/**
 * Tensors with a type and a shape and no memory: what a function is traced on. An op on phantoms is run once on
 * zeros that live only for that call, to learn from TensorFlow itself what comes out; so tracing a step needs the
 * memory of its largest op, not that of all activations.
 */

/** Methods of the backend that its type declarations keep private. */
interface Internals {
  createOutputTensor(metadata: { id: number; shape: readonly number[]; dtype: number }): Tensor;
  getInputTensorIds(inputs: readonly unknown[]): number[];
}
const internals = (backend: NodeJSKernelBackend) => backend as unknown as Internals;

/** No tensor of TensorFlow: the backend deletes none, and reading it fails. */
const noTensor = -1;

export function phantom(backend: NodeJSKernelBackend, { dtype, shape }: OutputSpec): Tensor {
  return internals(backend).createOutputTensor({ id: noTensor, shape: [...shape], dtype });
}

/** What an op gives for inputs of which some are phantoms, with their true types: `specs[i]` is null for a real one. */
export function outputsOf(
  backend: NodeJSKernelBackend,
  name: string,
  attrs: TFEOpAttr[],
  inputs: readonly TensorInfo[],
  specs: readonly (OutputSpec | null)[],
  count: number,
): OutputSpec[] {
  if (name === 'BatchMatMulV2') return [productSpec(attrs, specs, inputs)];
  const alike = elementwise.has(name) ? broadcast(specs, inputs) : null;
  if (alike) return [alike];
  // The binding can't give an op a list of inputs; this one passes on what it gets.
  if (name === 'IdentityN') {
    return inputs.map(
      ({ dtype, shape }, i) => specs[i] ?? { dtype: dataTypes[dtype as keyof typeof dataTypes], shape },
    );
  }
  const { binding } = backend;
  const zeros = specs.map((spec) => (spec === null ? null : zerosOf(binding, spec)));
  try {
    const ids = inputs.map((input, i) => zeros[i] ?? internals(backend).getInputTensorIds([input])[0]!);
    return binding.executeOp(name, attrs, ids, count).map(({ id, shape, dtype }) => {
      binding.deleteTensor(id);
      return { shape, dtype };
    });
  } finally {
    for (const id of zeros) if (id !== null) binding.deleteTensor(id);
  }
}

/** Ops that give the type they get, and the shape: what a table of a vocabulary would be made for again and again. */
const elementwise: ReadonlySet<string> = new Set([
  ...['Add', 'AddV2', 'Sub', 'Mul', 'RealDiv', 'Maximum', 'Minimum'],
  ...['Neg', 'Square', 'Sqrt', 'Rsqrt', 'Exp', 'Log', 'Log1p', 'Tanh', 'Sigmoid', 'Abs', 'Floor', 'Softplus', 'Relu'],
]);

/** What inputs of one type come to together; null where they don't fit, which TensorFlow says best itself. */
function broadcast(specs: readonly (OutputSpec | null)[], inputs: readonly TensorInfo[]): OutputSpec | null {
  const dtypes = new Set(specs.map((spec, i) => spec?.dtype ?? dataTypes[inputs[i]!.dtype as keyof typeof dataTypes]));
  const shapes = specs.map((spec, i) => spec?.shape ?? inputs[i]!.shape);
  const rank = Math.max(...shapes.map((shape) => shape.length));
  const shape = Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((sizes) => sizes[axis - rank + sizes.length] ?? 1).filter((size) => size !== 1);
    return new Set(sizes).size > 1 ? null : (sizes[0] ?? 1);
  });
  const [dtype] = dtypes;
  return dtypes.size > 1 || shape.includes(null) ? null : { dtype: dtype!, shape: shape as number[] };
}

/** Matmuls are most of the arithmetic of a step, and their shapes are plain: (..., m, k) x (..., k, n). */
function productSpec(
  attrs: readonly TFEOpAttr[],
  specs: readonly (OutputSpec | null)[],
  inputs: readonly TensorInfo[],
): OutputSpec {
  const [a, b] = inputs.map((input, i) => specs[i]?.shape ?? input.shape) as [readonly number[], readonly number[]];
  const flag = (name: string) => attrs.find((attr) => attr.name === name)?.value === true;
  const batch = a.length >= b.length ? a.slice(0, -2) : b.slice(0, -2);
  const other = a.length >= b.length ? b.slice(0, -2) : a.slice(0, -2);
  const offset = batch.length - other.length;
  const leading = batch.map((size, i) => Math.max(size, other[i - offset] ?? 1));
  const [rows, inner] = flag('adj_x') ? [a.at(-1)!, a.at(-2)!] : [a.at(-2)!, a.at(-1)!];
  const [innerB, columns] = flag('adj_y') ? [b.at(-1)!, b.at(-2)!] : [b.at(-2)!, b.at(-1)!];
  if (inner !== innerB) throw new Error(`a matmul of [${a}] and [${b}] has inner sizes ${inner} and ${innerB}`);
  return { dtype: dataTypes.float32, shape: [...leading, rows, columns] };
}

/** A tensor of zeros of any type that TensorFlow has, by its op Empty with init. */
function zerosOf(binding: TFJSBinding, { dtype, shape }: OutputSpec): number {
  const size = binding.createTensor([shape.length], dataTypes.int32, Int32Array.from(shape));
  try {
    const attrs = [
      { name: 'dtype', type: binding.TF_ATTR_TYPE, value: dtype },
      { name: 'init', type: binding.TF_ATTR_BOOL, value: true },
    ];
    return binding.executeOp('Empty', attrs, [size], 1)[0]!.id;
  } finally {
    binding.deleteTensor(size);
  }
}
