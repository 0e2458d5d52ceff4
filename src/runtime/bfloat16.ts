import { readFileSync } from 'node:fs';

/** Whether the CPU multiplies in bfloat16 itself; null where that can't be told. Without, bf16 is emulated, and slow. */
export function cpuHasBfloat16(file = '/proc/cpuinfo'): boolean | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return null;
  }
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1]?.split(' ');
  return flags ? flags.some((flag) => ['avx512_bf16', 'amx_bf16', 'bf16'].includes(flag)) : null;
}
