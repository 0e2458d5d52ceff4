import { z } from 'zod';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { parseWith, readDocument, toDocument } from './documents.ts';
import { bestKey, type PhaseKey } from './keys.ts';
import { pin, pinsOf, unpin } from './pins.ts';
import { swapDocument } from './swap.ts';
import type { CheckpointRef } from './types.ts';

/** `best.json`: of the checkpoints of a phase that were evaluated the one with the highest figure. */
export interface Best {
  /** What was looked at, such as `pets retrieval mean.text_to_image.r1`. */
  readonly figure: string;
  readonly value: number;
  readonly revision: number;
  readonly step: number;
  readonly sha256: string;
}

const bestSchema = z.object({
  version: z.literal(1),
  figure: z.string(),
  value: z.number(),
  revision: z.int(),
  step: z.int(),
  sha256: z.string(),
});

const who = 'best';

/** The best checkpoint of a phase; null where none was evaluated for it, or that can't be read. */
export async function readBest(store: ObjectStore, phase: PhaseKey): Promise<Best | null> {
  const found = await readDocument(store, bestKey(phase));
  return found && 'bytes' in found ? (parseWith(bestSchema, found.bytes).value ?? null) : null;
}

/**
 * Holds this checkpoint if none with a higher value of that figure is held: of equal ones the earlier. Evaluations may come to
 * an end in any order, and several at once: whoever is right wins. `CheckpointDamaged` when it is gone.
 */
export async function keepBest(
  store: ObjectStore,
  ref: CheckpointRef,
  { figure, value }: Pick<Best, 'figure' | 'value'>,
): Promise<Best> {
  const { run, phase, revision, step, sha256 } = ref;
  const own: Best = { figure, value, revision, step, sha256 };
  let gone: Best | null = null;
  for (;;) {
    // Held before it may win, so that nothing is best and pruned.
    await pin(store, ref, who);
    await swapDocument(store, bestKey(ref), toDocument({ version: 1, ...own }), (bytes) => {
      const known = parseWith(bestSchema, bytes).value;
      // Another figure in the recipe begins anew, and so does who finds that the best was removed.
      return known?.figure === figure && !isBetter(own, known) && !(gone && isSame(known, gone));
    });
    const held = await holdBest(store, { run, phase });
    if ('best' in held) return held.best;
    if (isSame(held.gone, own)) throw held.error;
    gone = held.gone;
  }
}

/**
 * Holds what `best.json` names and lets go of what was before. Whoever has let go of something looks again: another may have
 * made it the best meanwhile, and be done.
 */
async function holdBest(
  store: ObjectStore,
  phase: PhaseKey,
): Promise<{ readonly best: Best } | { readonly gone: Best; readonly error: unknown }> {
  let best = await known(store, phase);
  for (;;) {
    try {
      await pin(store, { ...phase, revision: best.revision, step: best.step }, who);
    } catch (error) {
      if (isRunnerError(error, 'CheckpointDamaged')) return { gone: best, error };
      throw error;
    }
    for (const one of await pinsOf(store, phase))
      if (one.who === who && !isSame(one, best)) await unpin(store, one, who);
    const now = await known(store, phase);
    if (isSame(now, best)) return { best: now };
    best = now;
  }
}

async function known(store: ObjectStore, phase: PhaseKey): Promise<Best> {
  const best = await readBest(store, phase);
  if (best) return best;
  throw new RunnerError(
    'DataContract',
    `${bestKey(phase)} was taken away or changed while the best was looked for; start the evaluation again`,
  );
}

const isSame = (a: Pick<Best, 'step' | 'revision'>, b: Pick<Best, 'step' | 'revision'>): boolean =>
  a.step === b.step && a.revision === b.revision;

const isBetter = (a: Best, b: Best): boolean =>
  a.value > b.value || (a.value === b.value && (a.step < b.step || (a.step === b.step && a.revision > b.revision)));
