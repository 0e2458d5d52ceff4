import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LearnedPiece } from '../src/evaluate/decoder/job.ts';
import { type Lesson, lessonHash } from '../src/evaluate/decoder/lesson.ts';
import type { FigureJob, Files } from '../src/evaluate/evaluators/job.ts';
import type { ImageSpec } from '../src/evaluate/features/spec.ts';
import type { View } from '../src/evaluate/features/view.ts';
import { askTrainer, type Told } from './ask-trainer.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { putOnce } from './put-once.ts';

/** So much work is lost when a worker is killed in the midst of a lesson. */
const pieceMs = 120_000;

/** Where a decoder that learned from frozen features lies, and what it has become so far while it learns. */
const keysOf = (spec: ImageSpec, hash: string) => {
  const prefix = `features/${spec.model.sha256.slice(0, 16)}/${hash.slice(0, 16)}/`;
  return { decoder: `${prefix}decoder.safetensors`, learning: `${prefix}learning.safetensors` };
};

/**
 * The decoder of a lesson as a local file in `folder`. It is a pure function of lesson and features, so what is in the bucket is
 * adopted, whole or half learned; it is kept there every two minutes. Two attempts at once write the same states, and an older
 * one costs time alone.
 */
export async function learnedDecoder(
  deps: Dependencies,
  { lesson, train, view, codeVersion }: { lesson: Lesson; train: Files<ImageSpec>; view: View; codeVersion: string },
  folder: string,
  told: Told,
  { signal }: Pick<Attempt, 'signal'>,
): Promise<NonNullable<FigureJob['learned']>> {
  const { store, onPoint, learnMs = pieceMs } = deps;
  const hash = lessonHash(lesson, train.spec, view, codeVersion);
  const keys = keysOf(train.spec, hash);
  const file = join(folder, 'decoder.safetensors');
  const there = async () => {
    if (!(await store.head(keys.decoder))) return null;
    await writeFile(file, await store.get(keys.decoder));
    return { file, key: keys.decoder, hash };
  };
  const begun = join(folder, 'learning.safetensors');
  const before = await there();
  if (before) {
    // Whoever finished it may have died before this was gone.
    await store.delete(keys.learning);
    return before;
  }
  let from: { readonly file: string; readonly key: string } | null = null;
  if (await store.head(keys.learning)) {
    told.tell('fetching what a decoder has learned');
    await writeFile(begun, await store.get(keys.learning));
    from = { file: begun, key: keys.learning };
  }
  for (;;) {
    signal.throwIfAborted();
    const out = join(folder, 'piece.safetensors');
    const job = { kind: 'learn', lesson, hash, view, train, from, forMs: learnMs, out } as const;
    const asked = { ...told, what: 'the decoder had learned' };
    const piece = await askTrainer<LearnedPiece>(deps, { signal }, job, asked);
    await onPoint?.('scored');
    const { sha256, done } = piece;
    if (done) {
      const found = await putOnce(async () => {
        await store.putFile(keys.decoder, out, { ifAbsent: true, sha256, signal });
        return null;
      }, there);
      if (found) return found;
      await store.delete(keys.learning);
      return { file: out, key: keys.decoder, hash };
    }
    await store.putFile(keys.learning, out, { sha256, signal });
    await onPoint?.('stored');
    // The trainer holds it; the file is for the next one, should this one die.
    await rename(out, begun);
    from = { file: begun, key: keys.learning };
  }
}
