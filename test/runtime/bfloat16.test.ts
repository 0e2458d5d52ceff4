import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bfloat16Words } from '../../infra/setup/doctor.ts';
import { cpuHasBfloat16 } from '../../src/runtime/bfloat16.ts';

it('a CPU is asked by its flags whether it computes in bfloat16, and doctor says so', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cpu-'));
  const has = (text: string) => {
    writeFileSync(join(folder, 'cpuinfo'), text);
    return cpuHasBfloat16(join(folder, 'cpuinfo'));
  };
  expect(has('model name\t: x\nflags\t\t: fpu avx2 avx512f avx512_bf16 sse\n')).toBe(true);
  expect(has('flags\t\t: fpu amx_bf16\n')).toBe(true);
  expect(has('Features\t: fp asimd bf16 i8mm\n')).toBe(true);
  expect(has('flags\t\t: fpu avx2 avx512f avx512_vbmi\n')).toBe(false);
  expect(has('processor: 0\n')).toBe(null);
  expect(cpuHasBfloat16(join(folder, 'nothing'))).toBe(null);
  expect(bfloat16Words(false)).toMatch(/"precision": "auto" in a recipe takes/);
  expect(bfloat16Words(true)).toBe('that computes in bfloat16');
  rmSync(folder, { recursive: true });
});
