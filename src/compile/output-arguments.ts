/**
 * The names that the definitions of ops give to their output: inside a function an output is
 * `node:<name>:<index>`.
 */
const names: Readonly<Record<string, readonly string[]>> = {
  z: [
    ...['Add', 'AddV2', 'Sub', 'Mul', 'RealDiv', 'Maximum', 'Minimum', 'Equal'],
    ...['BitwiseAnd', 'BitwiseOr', 'LeftShift', 'RightShift'],
  ],
  y: [
    ...['Neg', 'Square', 'Sqrt', 'Rsqrt', 'Exp', 'Log', 'Log1p', 'Tanh', 'Sigmoid', 'Abs', 'Cast', 'Floor'],
    ...['Transpose', 'ZerosLike'],
  ],
  output: [
    ...['Sum', 'Mean', 'Max', 'Reshape', 'BatchMatMulV2', 'Const', 'Fill', 'OneHot', 'Range', 'Tile', 'GatherV2'],
    ...[
      'UnsortedSegmentSum',
      'Pack',
      'Unpack',
      'ConcatV2',
      'SplitV',
      'Slice',
      'PadV2',
      'XlaOptimizationBarrier',
      'Bitcast',
    ],
  ],
  activations: ['Relu', 'Softplus'],
  product: ['MatMul'],
  softmax: ['Softmax'],
  value: ['ReadVariableOp'],
};
const byOp: ReadonlyMap<string, string> = new Map(
  Object.entries(names).flatMap(([name, ops]) => ops.map((op) => [op, name] as const)),
);

/** Of the ops that our graphs have; throws for another. */
export function outputArgument(op: string): string {
  const name = byOp.get(op);
  if (name === undefined) throw new Error(`how the output of ${op} is named is missing in output-arguments.ts`);
  return name;
}
