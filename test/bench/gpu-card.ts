import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { memoryOf } from './memory.ts';

/** What nvidia-smi says of a card: fields by their names there; null when it does not answer. */
export async function askCard(...fields: readonly string[]): Promise<Readonly<Record<string, string>> | null> {
  // One process has one GPU: the first that is visible.
  const [first = '0'] = (process.env.CUDA_VISIBLE_DEVICES || '0').split(',');
  const args = [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits', '-i', first];
  const answer = await promisify(execFile)('nvidia-smi', args, { timeout: 20_000 }).catch(() => null);
  const line = answer?.stdout.trim().split('\n')[0];
  if (!line) return null;
  const values = line.split(',').map((value) => value.trim());
  return Object.fromEntries(fields.map((field, i) => [field, values[i] ?? '']));
}

/** Bytes in use on the card, by whomever; where the CPU is the device, of this process; null if unknown. */
export async function deviceBytes(): Promise<number | null> {
  if (process.env.SIGLIP2_DEVICE === 'cpu') return memoryOf('VmRSS');
  const card = await askCard('memory.used');
  const mebibytes = Number(card?.['memory.used']);
  return Number.isFinite(mebibytes) && card ? mebibytes * 2 ** 20 : null;
}
