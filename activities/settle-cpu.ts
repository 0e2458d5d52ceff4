import { z } from 'zod';
import { parseWith, readDocument, toDocument } from '../src/checkpoint/documents.ts';
import { cpuKey, type PhaseKey } from '../src/checkpoint/keys.ts';
import { type CpuFacts, cpuFacts } from '../src/runtime/cpu.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';

const recordSchema = z.object({
  version: z.literal(1),
  threads: z.int().min(1).max(4096),
  kind: z.string().min(1).max(200),
});

/** What a phase is trained on from now on. */
export interface SettledCpu extends CpuFacts {
  /** How this machine differs from the one that the phase began on, in a sentence; null when it does not. */
  readonly remark: string | null;
}

/**
 * The CPU of a phase; null on a GPU. TensorFlow splits some sums among its threads, so their number is one of the
 * things that bytes depend on: that of the machine which makes the first step is written into the bucket before the
 * step, and every later attempt, shard and resume takes it, whatever cores there are. What was written first counts. A
 * phase that began before there was a record takes the machine that goes on with it. Another kind of CPU has other
 * kernels, which can't be chosen: it is said.
 */
export const settleCpu = (
  store: ObjectStore,
  phase: PhaseKey,
  trainer: Pick<TrainerProcess, 'device'>,
  here?: CpuFacts,
): Promise<SettledCpu | null> => settleCpuAt(store, cpuKey(phase), trainer, here);

/** The same of what is no phase, with its record under `key`. */
export async function settleCpuAt(
  store: ObjectStore,
  key: string,
  trainer: Pick<TrainerProcess, 'device'>,
  here: CpuFacts = cpuFacts(),
): Promise<SettledCpu | null> {
  if ((await trainer.device()) === 'gpu') return null;
  const began = (await recorded(store, key)) ?? (await record(store, key, here));
  return { threads: began.threads, kind: here.kind, remark: remarkOf(began, here, `s3://${store.bucket}/${key}`) };
}

function remarkOf(began: CpuFacts, here: CpuFacts, address: string): string | null {
  if (began.kind !== here.kind)
    return `this CPU (${here.kind}) is another than the one that the phase began on (${began.kind}): its last bits differ from here on`;
  if (began.threads < here.threads)
    return `the phase began with ${began.threads} threads and keeps to them, though this machine has ${here.threads} CPUs; whoever wants them rather than equal bytes deletes ${address}`;
  return null;
}

async function recorded(store: ObjectStore, key: string): Promise<CpuFacts | null> {
  const found = await readDocument(store, key);
  if (found === null) return null;
  const parsed = 'problem' in found ? found : parseWith(recordSchema, found.bytes);
  if (parsed.problem === undefined) return parsed.value;
  throw new RunnerError(
    'DataContract',
    `s3://${store.bucket}/${key} no longer says with how many threads this phase began (${parsed.problem}); put it ` +
      'back as it was, or delete it, and the phase goes on with those of its machine',
  );
}

async function record(store: ObjectStore, key: string, { threads, kind }: CpuFacts): Promise<CpuFacts> {
  const here = { version: 1, threads, kind } satisfies z.infer<typeof recordSchema>;
  try {
    await store.put(key, toDocument(here), { ifAbsent: true, contentType: 'application/json' });
    return here;
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    return (await recorded(store, key)) ?? record(store, key, here);
  }
}
