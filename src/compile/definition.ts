import type { Tensor } from '@tensorflow/tfjs';
import type { DeviceKind } from './placement.ts';
import type { CacheSlot } from './program-cache.ts';

/** Shape and type of a feed or of a piece of state. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'uint8';
}

export type Tensors = Readonly<Record<string, Tensor>>;

export type Values = Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>;

/** One entry into the program: an ordinary TF.js function of the state and of this entry's feeds. */
export interface Signature {
  readonly feeds: Readonly<Record<string, TensorSpec>>;
  /** Returns what comes out, and the new value of each piece of state that changes. Called once, while tracing. */
  run(state: Tensors, feeds: Tensors): { outputs: Tensors; state?: Tensors };
}

export interface ProgramDefinition {
  readonly state: Readonly<Record<string, TensorSpec>>;
  readonly signatures: Readonly<Record<string, Signature>>;
}

export interface CompileOptions {
  /** f32 (default), or bf16: matmuls in bfloat16, everything else in float32. */
  readonly precision?: 'f32' | 'bf16';
  /**
   * Elements of the largest tensor from which a chain of elementwise ops is compiled with XLA: 16,384 if not given,
   * since a shorter chain takes longer to call and to compile than it saves. Infinity leaves every op as recorded.
   */
  readonly fuseFrom?: number;
  /** XLA compiles batched products of float32 (`passes/batched-matmuls.ts`): on a CPU with AVX2 alone, if not given. */
  readonly batchedXla?: boolean;
  /** XLA compiles each signature as one function (`passes/whole-step-xla.ts`), instead of chains: false if not given. */
  readonly xla?: boolean;
  /** Where the ops are to run; the backend's own device if not given. */
  readonly device?: DeviceKind;
  /** Where the program is kept for the next process that needs it. */
  readonly slot?: CacheSlot | null;
}
