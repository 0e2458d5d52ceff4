import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi from 'koffi';
import { RunnerError } from './errors.ts';

/**
 * NVIDIA's cards from Ampere on multiply float32 with 10 bits of mantissa (TF32) unless they are told not to, and
 * TensorFlow lets them: losses were 7e-4 from those of a CPU, and are 2e-7 from them without it. Python says
 * `tf.config.experimental.enable_tensor_float_32_execution`; the C API has no word for it, so this is the function behind it.
 */
const symbols = {
  allow: 'void _ZN3tsl32enable_tensor_float_32_executionEb(bool on)',
  allowed: 'bool _ZN3tsl33tensor_float_32_execution_enabledEv()',
} as const;

interface Switch {
  allow(on: boolean): void;
  allowed(): boolean;
}

let found: Switch | null = null;

function find(): Switch {
  // The library that the addon has loaded: the loader gives the same one for the same file.
  const addon = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu/package.json'));
  try {
    const library = koffi.load(join(addon, 'deps', 'lib', 'libtensorflow_framework.so.2'));
    const allow = library.func(symbols.allow) as Switch['allow'];
    return { allow, allowed: library.func(symbols.allowed) as Switch['allowed'] };
  } catch (cause) {
    const why =
      "this TensorFlow can't be told to multiply float32 as float32 on a GPU; unset SIGLIP2_LIBTENSORFLOW, or train with SIGLIP2_DEVICE=cpu";
    throw new RunnerError('SetupMissing', why, { cause });
  }
}

/** For all matmuls of this process from now on; what XLA compiles keeps what held when it was compiled. SetupMissing where it can't be said. */
export function allowTensorFloat32(on: boolean): void {
  found ??= find();
  found.allow(on);
}

/** What holds now. */
export function tensorFloat32Allowed(): boolean {
  found ??= find();
  return found.allowed();
}
