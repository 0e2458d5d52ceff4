import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What nvidia-smi says of GPUs, a line each with commas between the fields; empty when it does not answer. */
export async function nvidiaSmi(
  fields: string,
  { only, env = process.env }: { readonly only?: string | undefined; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const query = [`--query-gpu=${fields}`, '--format=csv,noheader,nounits', ...(only ? ['-i', only] : [])];
  const answer = await promisify(execFile)('nvidia-smi', query, { timeout: 10_000, env }).catch(() => null);
  return answer?.stdout ?? '';
}
