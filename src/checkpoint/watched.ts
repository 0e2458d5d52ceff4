import { z } from 'zod';
import type { WatchedFigure } from '../evaluate/early-stopping.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { parseWith, readDocument, toDocument } from './documents.ts';
import { earlyStoppingKey, type PhaseKey, type StepKey } from './keys.ts';
import { pin, pinsOf, unpin } from './pins.ts';
import { swapDocument } from './swap.ts';

/** `early-stopping.json`: a line for each evaluation that may have ended the phase, 300 bytes each. */
const watchedSchema = z.object({
  version: z.literal(1),
  /** What was looked at, such as `pets retrieval mean.text_to_image.r1`. */
  figure: z.string(),
  figures: z.array(
    z.object({
      revision: z.int(),
      step: z.int(),
      sha256: z.string(),
      value: z.number(),
      rose: z.boolean(),
      figures: z.string(),
    }),
  ),
});

const who = 'early-stopping';

/** None where another figure was looked at, or what is there can't be read: then it begins anew. */
export async function readWatched(store: ObjectStore, phase: PhaseKey, figure: string): Promise<WatchedFigure[]> {
  const found = await readDocument(store, earlyStoppingKey(phase));
  const known = found && 'bytes' in found ? parseWith(watchedSchema, found.bytes).value : undefined;
  return known?.figure === figure ? known.figures : [];
}

/** Writes them down in place of what was there. One phase writes at a time, and the same again. */
export async function keepWatched(
  store: ObjectStore,
  phase: PhaseKey,
  figure: string,
  figures: readonly WatchedFigure[],
): Promise<void> {
  const body = toDocument({ version: 1, figure, figures });
  await swapDocument(store, earlyStoppingKey(phase), body, (bytes, own) => bytes.equals(own));
}

/** Holds the checkpoint that the phase is to end with, and lets go of the one of before. `CheckpointDamaged` when it is gone. */
export async function holdWatched(store: ObjectStore, at: StepKey): Promise<void> {
  await pin(store, at, who);
  await releaseWatched(store, at, at);
}

/** Lets go of what was held, but for one. */
export async function releaseWatched(store: ObjectStore, phase: PhaseKey, but?: StepKey): Promise<void> {
  for (const one of await pinsOf(store, phase))
    if (one.who === who && !(one.revision === but?.revision && one.step === but.step)) await unpin(store, one, who);
}
