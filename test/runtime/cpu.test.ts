import { expect, it } from 'vitest';
import { allowedCpus, cpuFacts, kindOf } from '../../src/runtime/cpu.ts';

it('the CPUs that a process may run on are counted as TensorFlow counts them', () => {
  expect(allowedCpus('Name:\tnode\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\nMems_allowed:\t1\n')).toBe(2);
  expect(allowedCpus('Cpus_allowed_list:\t0\n')).toBe(1);
  expect(allowedCpus('Cpus_allowed_list:\t0-3,8,10-11\n')).toBe(7);
  expect(allowedCpus('')).toBe(0);
  expect(cpuFacts({}).threads).toBeGreaterThanOrEqual(1);
});

it('a number of threads in the environment is taken, and what TensorFlow would not read is not', () => {
  expect(cpuFacts({ TF_NUM_INTRAOP_THREADS: '3' }).threads).toBe(3);
  const own = cpuFacts({}).threads;
  for (const odd of ['0', '-2', 'many', '1.5', '']) expect(cpuFacts({ TF_NUM_INTRAOP_THREADS: odd }).threads).toBe(own);
});

it('a kind of CPU is called after the widest instructions that it has', () => {
  const cpu = (flags: string) => `processor\t: 0\nflags\t\t: ${flags}\n\nprocessor\t: 1\nflags\t\t: fpu\n`;
  expect(kindOf(cpu('fpu sse2 avx avx2 avx512f avx512_vnni avx512_bf16'))).toBe('avx512_bf16');
  expect(kindOf(cpu('fpu sse2 avx avx2 avx512f'))).toBe('avx512f');
  expect(kindOf(cpu('fpu sse2 avx avx2'))).toBe('avx2');
  expect(kindOf('')).toBe(process.arch);
  expect(kindOf(cpu('avx2 avx512f'), { ONEDNN_MAX_CPU_ISA: 'AVX2' })).toBe('avx512f with ONEDNN_MAX_CPU_ISA=AVX2');
});
