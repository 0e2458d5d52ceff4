import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { GraphBuilder } from '../../src/onnx/graph.ts';
import { Weights } from '../../src/onnx/weights.ts';
import { writeModel } from '../../src/onnx/write-model.ts';
import { toFloat16, toFloat32 } from '../../src/safetensors/float-bytes.ts';
import { answers, floats } from './answers.ts';

const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

it('rounds to float16 as ONNX Runtime does, from the smallest to the largest', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-float16-'));
  try {
    const g = new GraphBuilder('f16', 20);
    g.output('rounded', g.fromFloat32(g.input('values', 'f32', ['n'])), ['n']);
    await writeModel(folder, 'cast.onnx', g, { producer: 'test' });
    // Every exponent that matters, and fractions at, below and above the middle of two neighbours.
    const fractions = [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x3000, 0x5000, 0x400000, 0x7fefff, 0x7fffff];
    const bits = Array.from({ length: 50 }, (_, i) => 95 + i).flatMap((exponent) =>
      fractions.flatMap((fraction) => [0, 0x80000000].map((sign) => (sign | (exponent << 23) | fraction) >>> 0)),
    );
    const all = new Float32Array(Uint32Array.from(bits).buffer).filter((x) => Math.abs(x) < 65_520);
    const values = Float32Array.from([0, -0, 65_504, Number.POSITIVE_INFINITY, ...all]);
    const { rounded } = await answers(join(folder, 'cast.onnx'), { values: floats(values, [values.length]) });
    const own = toFloat32(toFloat16(bytesOf(values))!, 'F16');
    expect(Buffer.from(own).equals(Buffer.from(bytesOf(rounded!.data)))).toBe(true);
    expect(values.length).toBeGreaterThan(1000);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('puts weights into as many files as their size asks for, and ONNX Runtime finds them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-apart-'));
  try {
    const names = ['a', 'b', 'c'];
    const values = names.map((_, i) => Float32Array.from({ length: 1024 }, (_, k) => k + 10 ** i));
    const weights = new Weights(
      names.map((name, i) => ({ name, dtype: 'F32', shape: [1024], data: bytesOf(values[i]!) })),
    );
    const g = new GraphBuilder('f32', 20);
    const [a, b, c] = names.map((name) => weights.plain(g, name));
    g.output('sum', g.op('Add', [g.op('Add', [g.op('Add', [g.input('x', 'f32', [1]), a!]), b!]), c!]), [1024]);
    const written = await writeModel(folder, 'sum.onnx', g, { producer: 'test', largest: 9000 });
    expect(written.data).toEqual(['sum.onnx_data', 'sum.onnx_data_1']);
    const sizes = await Promise.all(written.data.map(async (name) => (await stat(join(folder, name))).size));
    expect(sizes).toEqual([8192, 4096]);
    expect((await stat(join(folder, 'sum.onnx'))).size).toBeLessThan(1000);
    const { sum } = await answers(join(folder, 'sum.onnx'), { x: floats(Float32Array.of(0.5), [1]) });
    expect([...sum!.data]).toEqual(Array.from({ length: 1024 }, (_, k) => 3 * k + 111.5));
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('names the tensor that float16 can not hold', async () => {
  const data = bytesOf(Float32Array.of(1, -65_520));
  const weights = new Weights([{ name: 'logit_scale', dtype: 'F32', shape: [2], data }]);
  const g = new GraphBuilder('f16', 20);
  const read = g.weights.get(weights.plain(g, 'logit_scale'))!.data();
  await expect(read[Symbol.asyncIterator]().next()).rejects.toThrow(
    'tensor logit_scale has a number beyond 65504, the largest of float16; leave --dtype f16 out',
  );
});
