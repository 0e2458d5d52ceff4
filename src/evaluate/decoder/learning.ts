import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { compile, type Program } from '../../compile/program.ts';
import { tokenised } from '../../data/example/caption-texts.ts';
import { tokenizerOf } from '../../data/example/compacted.ts';
import type { TextTokenizer } from '../../data/example/tokenizer.ts';
import { decoderSpecs } from '../../model/decoder-parameters.ts';
import { patchesAt } from '../../model/features.ts';
import { initialise } from '../../model/initialise.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { firstMoment, secondMoment, stepScalars } from '../../optimiser/optimiser.ts';
import { cosineFactor } from '../../recipe/schedule.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { permutation, randomStream } from '../../runtime/random.ts';
import { FeatureSet } from '../features/feature-set.ts';
import { PartFile } from '../features/part-file.ts';
import { featureKey, specHash } from '../features/spec.ts';
import { seenPatches, viewName } from '../features/view.ts';
import type { LearnedPiece, LearnJob } from './job.ts';
import { learnDefinition, optimizerOf } from './learn-definition.ts';
import { type LearningState, readLearning, writeLearned } from './learned-file.ts';
import { type LearnedTexts, learnedTexts } from './lesson.ts';

export interface LearnEvents {
  note(text: string): void;
  readonly signal: AbortSignal;
}

/** What a lesson needs between two of its pieces. */
interface Held {
  readonly hash: string;
  readonly files: readonly PartFile[];
  readonly train: FeatureSet;
  readonly told: LearnedTexts;
  readonly config: ModelConfig;
  readonly tokenizer: TextTokenizer;
  readonly patches: number;
  readonly program: Program;
  /** That the program's state has made. */
  step: number;
}

/**
 * Teaches decoders, a piece at a time, a pure function of lesson and features: which texts a step sees follows from its number.
 * Features are read from the disk as they are drawn: 50 MB a step of 64 pictures at 256 patches of width 768. The device holds
 * 12 bytes a parameter, and what a step of that size needs.
 */
export class Learning {
  #held: Held | null = null;

  /** Null when it was stopped. Errors: DataContract, NonFinite. */
  async learn(job: LearnJob, { note, signal }: LearnEvents): Promise<LearnedPiece | null> {
    const held = await this.#open(job);
    const { lesson } = job;
    const { program, config, told } = held;
    const size = { depth: lesson.depth };
    const until = performance.now() + job.forMs;
    let notedAt = 0;
    while (held.step < lesson.steps) {
      if (signal.aborted) return null;
      const step = held.step + 1;
      const loss = await this.#step(held, job, step);
      if (!Number.isFinite(loss)) {
        await this.close();
        throw new RunnerError(
          'NonFinite',
          `the decoder of the evaluation diverged at step ${step}: lower its learningRate`,
        );
      }
      held.step = step;
      if (performance.now() - notedAt > 5000) {
        notedAt = performance.now();
        note(`a decoder learns, step ${step} of ${lesson.steps}, loss ${loss.toFixed(3)}`);
      }
      await yieldToEvents();
      if (performance.now() > until) break;
    }
    const done = held.step === lesson.steps;
    const names = decoderSpecs(config, size).map(({ name }) => name);
    const wanted = done ? names : names.flatMap((name) => [name, firstMoment(name), secondMoment(name)]);
    const state: LearningState = { step: held.step, values: program.read(wanted) };
    const { sha256 } = await writeLearned(job.out, job.hash, state, { config, size, told }, !done);
    return { step: held.step, done, sha256 };
  }

  /** Lets go of the device. */
  async close(): Promise<void> {
    const held = this.#held;
    this.#held = null;
    held?.program.dispose();
    for (const file of held?.files ?? []) await file.close();
  }

  async #open({ hash, lesson, view, train, from }: LearnJob): Promise<Held> {
    // What it has become in this process is what it would become again, from whichever state.
    if (this.#held?.hash === hash) return this.#held;
    await this.close();
    const files: PartFile[] = [];
    for (const [part, file] of train.files.entries())
      files.push(
        await PartFile.open(file, { spec: specHash(train.spec), part, key: featureKey(train.spec, part) }).catch(
          async (error) => {
            for (const opened of files) await opened.close();
            throw error;
          },
        ),
      );
    const model = train.spec.model.config;
    const set = new FeatureSet(files, model);
    const told = learnedTexts(set, lesson, model.text.length);
    if (told.texts.length === 0) {
      for (const file of files) await file.close();
      throw nothingToLearn(lesson.of, set.examples.length);
    }
    const config: ModelConfig = { ...model, text: { ...model.text, vocabulary: told.ids.length } };
    const patches = model.vision.kind === 'naflex' ? view : patchesAt(model, view);
    const size = { depth: lesson.depth };
    const state = from ? await readLearning(from.file, { hash, key: from.key }, config, size) : fresh(config, lesson);
    const program = compile(learnDefinition(config, lesson, patches));
    program.write(state.values);
    const tokenizer = tokenizerOf(told.ids);
    this.#held = { hash, files, train: set, told, config, tokenizer, patches, program, step: state.step };
    return this.#held;
  }

  async #step(held: Held, { lesson, view }: LearnJob, step: number): Promise<number> {
    const { program, told, train, config, tokenizer, patches } = held;
    const { batch, steps } = lesson;
    const { width } = config.vision;
    const { length } = config.text;
    const name = `patches/${viewName(config, view)}`;
    const encoded = new Float32Array(batch * patches * width);
    const seen = new Float32Array(batch * patches).fill(1);
    const targets = new Int32Array(batch * length);
    const targetWeights = new Float32Array(batch * length);
    for (const [i, number] of drawn(told.texts.length, lesson, step).entries()) {
      const one = told.texts[number]!;
      const part = train.parts[one.part]!;
      encoded.set(await part.rows(name, [one.row]), i * patches * width);
      const [own] = seenPatches(config, view, [part.facts.examples[one.row]!.size!]) ?? [patches];
      seen.fill(0, i * patches + own!, (i + 1) * patches);
      const { ids, weights } = tokenised(one, tokenizer, length);
      targets.set(ids, i * length);
      targetWeights.set(weights, i * length);
    }
    // As optax counts, the first step has the factor of none.
    const factor = cosineFactor(step - 1, steps, Math.round(lesson.warmup * steps));
    const { schedule, correction1, correction2 } = stepScalars(optimizerOf(lesson), step, factor);
    const { loss } = program.run('step', {
      ...{ encoded, seen, targets, targetWeights },
      schedule: Float32Array.of(schedule),
      correction1: Float32Array.of(correction1),
      correction2: Float32Array.of(correction2),
    });
    return loss![0]!;
  }
}

/** The texts of a step, 1 for the first: those of one round after another, each round in an order of its own. */
export function drawn(texts: number, { batch, seed }: { batch: number; seed: number }, step: number): number[] {
  const first = (step - 1) * batch;
  const orders = new Map<number, Uint32Array>();
  return Array.from({ length: batch }, (_, i) => {
    const round = Math.floor((first + i) / texts);
    const order = orders.get(round) ?? permutation(texts, randomStream(seed, 'lesson', round));
    orders.set(round, order);
    return order[(first + i) % texts]!;
  });
}

function fresh(config: ModelConfig, { depth, seed }: { depth: number; seed: number }): LearningState {
  const values: Record<string, Float32Array> = {};
  for (const spec of decoderSpecs(config, { depth })) {
    values[spec.name] = initialise(seed, spec);
    for (const moment of [firstMoment(spec.name), secondMoment(spec.name)])
      values[moment] = new Float32Array(values[spec.name]!.length);
  }
  return { step: 0, values };
}

const nothingToLearn = (of: 'boxes' | 'texts', pictures: number) =>
  new RunnerError(
    'DataContract',
    of === 'boxes'
      ? `train: none of its ${pictures} pictures has regions that fit; referringProbe learns from "regions": [{"caption": "the cat", "box": [top, left, bottom, right]}]`
      : `train: none of its ${pictures} pictures has a caption in the languages of the task, or questions; languageModel learns from these`,
  );
