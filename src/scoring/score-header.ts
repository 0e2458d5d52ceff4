import { z } from 'zod';
import { type RemoteShard, readRange, type ShardStore } from '../data/index/part-reader.ts';
import { RunnerError } from '../runtime/errors.ts';
import { parseHeader } from '../safetensors/safetensors-header.ts';
import { factsOf, type ScoreFacts } from './score-file.ts';

/** What the header of a file of scores says beyond what it must say. */
export interface ScoreHeader {
  readonly logitScale: number;
  readonly logitBias: number;
  /** Examples that the teacher could not be shown, ascending. */
  readonly corrupt: readonly number[];
  /** Byte of the first row of `images`; the other tensors follow in the order of the languages. */
  readonly offset: number;
  /** Over all bytes from there on. */
  readonly dataSha256: string;
}

const decimal = z.string().transform((text, context) => {
  const value = text === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value) && String(value) === text) return value;
  context.addIssue(`${text.slice(0, 40)} is not an exact decimal number`);
  return z.NEVER;
});
const ownSchema = z.object({
  logit_scale: decimal,
  logit_bias: decimal,
  corrupt: z
    .string()
    .regex(/^\[(\d+(,\d+)*)?\]$/)
    .transform((text): number[] => JSON.parse(text))
    .refine((list) => list.every((row, i) => i === 0 || row > list[i - 1]!), 'not ascending'),
  data_sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** The start of a file that a first read brings: enough for the header of any usual shard. */
const firstRead = 64 * 1024;
const largestHeader = 16 * 1024 * 1024;

/** Reads the header of a file of scores in the bucket. DataContract when it is not the file that these facts make. */
export async function readScoreHeader(store: ShardStore, file: RemoteShard, facts: ScoreFacts): Promise<ScoreHeader> {
  const fail = (problem: string) => scoresDamaged(store, file.key, problem);
  if (file.bytes < 8) throw fail(`has ${file.bytes} bytes`);
  let start = await readRange(store, file, 0, Math.min(firstRead, file.bytes));
  const offset = 8 + Number(start.readBigUInt64LE());
  if (offset > Math.min(largestHeader, file.bytes))
    throw fail(`has a header of ${offset} bytes, and ${file.bytes} in all`);
  if (offset > start.length) start = await readRange(store, file, 0, offset);
  const { tensors, metadata } = parseHeader(start.subarray(8, offset), file.bytes - offset, (problem) =>
    fail(`is no safetensors file: ${problem}`),
  );
  for (const [name, wanted] of Object.entries(factsOf(facts)))
    if (metadata[name] !== wanted) throw fail(`says ${name} ${metadata[name]?.slice(0, 200)}, and ${wanted} is wanted`);
  const shape = [facts.shard.examples.length, Number(metadata.width)];
  const found = [...tensors.values()].map((tensor) => `${tensor.name} ${tensor.dtype} ${tensor.shape}`).sort();
  const type = facts.dtype === 'bf16' ? 'BF16' : 'F32';
  const names = ['images', ...facts.languages.map((language) => `texts.${language}`)];
  const wanted = names.map((name) => `${name} ${type} ${shape}`);
  if (found.join() !== wanted.join()) throw fail(`holds ${found.join(', ')}, and ${wanted.join(', ')} is wanted`);
  for (const [i, name] of names.entries())
    if (i > 0 && tensors.get(name)!.offset < tensors.get(names[i - 1]!)!.offset)
      throw fail(`holds ${name} before ${names[i - 1]}`);
  const own = ownSchema.safeParse(metadata);
  if (!own.success) throw fail(`says a wrong ${own.error.issues[0]!.path.join('.')}: ${own.error.issues[0]!.message}`);
  const { logit_scale: logitScale, logit_bias: logitBias, corrupt, data_sha256: dataSha256 } = own.data;
  if ((corrupt.at(-1) ?? -1) >= shape[0]!) throw fail(`says that example ${corrupt.at(-1)} of ${shape[0]} is corrupt`);
  return { logitScale, logitBias, corrupt, offset, dataSha256 };
}

/** A file of scores that can't be used; `problem` goes on from its name. */
export function scoresDamaged({ bucket }: { readonly bucket: string }, key: string, problem: string): RunnerError {
  return new RunnerError(
    'DataContract',
    `the stored scores s3://${bucket}/${key} are damaged: the file ${problem}; delete it, and it is made again`,
    { details: { object: key } },
  );
}
