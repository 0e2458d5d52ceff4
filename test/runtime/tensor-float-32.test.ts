import { expect, test } from 'vitest';
import { allowTensorFloat32, tensorFloat32Allowed } from '../../src/runtime/tensor-float-32.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

test("TensorFlow's own switch for TF32 is found in the library that the addon has loaded, and turned", () => {
  expect(tf.scalar(2).square().dataSync()[0]).toBe(4);
  // TensorFlow's default, which is why the switch is needed.
  expect(tensorFloat32Allowed()).toBe(true);
  allowTensorFloat32(false);
  expect(tensorFloat32Allowed()).toBe(false);
  allowTensorFloat32(true);
  expect(tensorFloat32Allowed()).toBe(true);
});
