import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { resizeOf } from '../data/views/preprocess.ts';
import { imageInput, storedPatches } from '../evaluate/image-input.ts';
import { type Embedder, openEmbedder } from '../model/embed.ts';
import { wholeVocabulary } from '../model/sizes.ts';
import { outOf } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { hashJson } from '../runtime/hash.ts';
import { openProducer, type Producer } from '../runtime/producer.ts';
import type { ScoredFile, ScoreJob } from './job.ts';
import { ScoreTable } from './score-file.ts';
import type { ScoreLoaderSettings, ScorePart } from './score-loader.ts';

export interface ScoringEvents {
  note(text: string): void;
  /** Aborted when nobody wants the result any more. */
  readonly signal: AbortSignal;
  /** Environment in which the loader finds its store, `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Parts that wait ready while the device works. */
const prefetch = 2;
const textsAtOnce = 64;
const noteEveryMs = 5000;

/** Scores shards one after another, keeping the teacher on the device while the next shard is for the same one. */
export class Scoring {
  #held: { readonly of: string; readonly embedder: Embedder } | null = null;

  /**
   * Embeds every example of `job.shard` and writes `job.out`: a pure function of the teacher, the settings and the
   * shard. Null when it was stopped. Errors: DataContract, CheckpointDamaged, NonFinite, DiskFull.
   */
  async score(job: ScoreJob, { note, signal, env = process.env }: ScoringEvents): Promise<ScoredFile | null> {
    const { model, shard, read, languages, resize } = job;
    if (signal.aborted) return null;
    const embedder = await this.#teacher(job);
    if (signal.aborted) return null;
    const own = { ...(read && { read }), ...(resize && { resize }) };
    const settings: ScoreLoaderSettings = { model, shard, ...own, languages, env: { ...env } };
    const module = new URL('./score-loader.ts', import.meta.url).href;
    const parts = openProducer<ScoreLoaderSettings, ScorePart>({ module, settings, prefetch, keep: true }, note);
    // Who waits for the next part is told by its end.
    const stop = () => void parts.close();
    signal.addEventListener('abort', stop);
    try {
      return await this.#write(job, embedder, parts, note, signal);
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      await parts.close();
    }
  }

  /** Lets go of the device. */
  close(): void {
    this.#held?.embedder.dispose();
    this.#held = null;
  }

  async #teacher({ folder, teacher, model, vocabulary }: ScoreJob): Promise<Embedder> {
    const of = hashJson({ sha256: teacher.sha256, model, vocabulary });
    if (this.#held?.of !== of) {
      this.close();
      const ids = vocabulary ?? Array.from({ length: wholeVocabulary(model.text) }, (_, id) => id);
      this.#held = { of, embedder: await openEmbedder(folder, model, ids, { patches: storedPatches(model) }) };
    }
    return this.#held.embedder;
  }

  async #write(
    job: ScoreJob,
    embedder: Embedder,
    parts: Producer<ScorePart>,
    note: ScoringEvents['note'],
    signal: AbortSignal,
  ): Promise<ScoredFile | null> {
    const { shard, model } = job;
    const total = shard.examples.length;
    const table = new ScoreTable(job);
    const input = imageInput(model, resizeOf(job));
    const corrupt: number[] = [];
    const texts: ScorePart['texts'][number][] = [];
    const set = (rows: Float32Array, of: readonly { example: number; language?: string }[]) => {
      const width = rows.length / of.length;
      for (const [i, { example, language = null }] of of.entries()) {
        const row = rows.subarray(i * width, (i + 1) * width);
        if (!row.every(Number.isFinite)) throw notFinite(job, example);
        table.set(language, example, row);
      }
    };
    const embedTexts = (count: number) => {
      const some = texts.splice(0, count);
      const tokens = new Int32Array(some.length * model.text.length);
      for (const [i, { tokens: own }] of some.entries()) tokens.set(own, i * model.text.length);
      set(embedder.texts(tokens), some);
    };
    for (let done = 0, told = performance.now(); done < total; ) {
      const { first, count, images, ...part } = await parts.next();
      done = first + count;
      corrupt.push(...part.corrupt);
      texts.push(...part.texts);
      const inputs = images.map((image) => image.input);
      if (inputs.length > 0) set(input.embed(embedder, inputs), images);
      // Whole batches: of a language that few examples have, no batch is mostly padding.
      while (texts.length >= textsAtOnce) embedTexts(textsAtOnce);
      if (done === total && texts.length > 0) embedTexts(texts.length);
      if (performance.now() - told > noteEveryMs) {
        told = performance.now();
        note(`${outOf(done, total, 'example')} of ${shard.key}`);
      }
      // The device blocks the event loop; here messages and the loader get their turn.
      await yieldToEvents();
      if (signal.aborted) return null;
    }
    const written = await table.write(job.out, embedder, corrupt);
    return { ...written, examples: total, corrupt: corrupt.length };
  }
}

function notFinite({ teacher, shard }: ScoreJob, example: number): RunnerError {
  return new RunnerError(
    'NonFinite',
    `the teacher ${teacher.name} makes no number of example ${shard.examples[example]!.name} of ${shard.key}: take another checkpoint as the teacher`,
  );
}
