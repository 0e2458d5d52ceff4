import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LearnedPiece, LearnJob } from '../../../src/evaluate/decoder/job.ts';
import { drawn, Learning } from '../../../src/evaluate/decoder/learning.ts';
import { type Lesson, lessonHash } from '../../../src/evaluate/decoder/lesson.ts';
import type { EvaluatorInput, Figures, Found } from '../../../src/evaluate/evaluators/contract.ts';
import type { Files } from '../../../src/evaluate/evaluators/job.ts';
import { languageModel } from '../../../src/evaluate/evaluators/language-model.ts';
import { referringProbe } from '../../../src/evaluate/evaluators/referring-probe.ts';
import { PartFile } from '../../../src/evaluate/features/part-file.ts';
import type { ImageSpec } from '../../../src/evaluate/features/spec.ts';
import { type Placed, placedFiles, placedThings, quarterModel, quickLesson } from './placed-things.ts';

const files = placedFiles();
const events = { note() {}, signal: new AbortController().signal };
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'learning-'));
});
afterAll(async () => {
  await files.close();
  await rm(folder, { recursive: true, force: true });
});

let made = 0;
const jobOf = (lesson: Lesson, train: Files<ImageSpec>, changes: Partial<LearnJob> = {}): LearnJob => ({
  ...{ kind: 'learn', lesson, train, view: 32, from: null, forMs: 1e9 },
  hash: lessonHash(lesson, train.spec, 32, '0'),
  out: join(folder, `${made++}.safetensors`),
  ...changes,
});

async function learn(job: LearnJob): Promise<LearnedPiece> {
  const learning = new Learning();
  try {
    return (await learning.learn(job, events))!;
  } finally {
    await learning.close();
  }
}

/** What a probe that learned from some pictures makes of others. */
async function probed(
  lesson: Lesson,
  train: readonly Placed[],
  test: readonly Placed[],
  evaluate: (input: EvaluatorInput) => Promise<Found>,
): Promise<Found> {
  const job = jobOf(lesson, await files.files(train, 50, 'train'));
  expect(await learn(job)).toMatchObject({ step: lesson.steps, done: true });
  const learned = await PartFile.open(job.out, { spec: job.hash, part: 0, key: job.out });
  const set = await files.set(await files.files(test, 30));
  const input = { view: 32, test: set, train: null, classes: null, learned, languages: ['en'], seed: 0 };
  try {
    return await evaluate({ ...input, device: 'cpu', pause: async () => {} });
  } finally {
    await learned.close();
  }
}

const settingsOf = ({ of: _, languages: __, seed: ___, ...settings }: Lesson) => settings;

describe('a fresh decoder on frozen features', () => {
  it('finds what it is told of where the features say where that is, in pictures that it has not seen', async () => {
    const { figures, outcomes, notes } = await probed(quickLesson, placedThings(200, 1), placedThings(70, 2), (input) =>
      referringProbe.evaluate(input, settingsOf(quickLesson)),
    );
    console.log(figures);
    expect(figures).toMatchObject({ expressions: 140, pictures: 70, without_box: 0 });
    expect(figures['acc@0.5']).toBeGreaterThan(0.9);
    expect(figures.IoU).toBeGreaterThan(0.9);
    expect([...outcomes['acc@0.5']!.pictures.slice(0, 4)]).toEqual([0, 0, 1, 1]);
    expect(notes).toEqual([]);
  });

  it('guesses where the features are noise', async () => {
    const short = { ...quickLesson, steps: 150 };
    const { figures } = await probed(short, placedThings(200, 1, false), placedThings(70, 2, false), (input) =>
      referringProbe.evaluate(input, settingsOf(short)),
    );
    // One of four quarters; three deviations of 140 throws.
    expect(Math.abs((figures['acc@0.5'] as number) - 0.25)).toBeLessThan(0.11);
  });

  it('says captions and answers questions that it has learned', async () => {
    const lesson: Lesson = { ...quickLesson, of: 'texts' };
    const { figures } = await probed(lesson, placedThings(200, 3), placedThings(70, 4), (input) =>
      languageModel.evaluate(input, settingsOf(lesson)),
    );
    const { by_language, answers } = figures as { by_language: { en: Figures }; answers: Figures };
    expect(answers).toMatchObject({ questions: 70 });
    expect(answers.exact).toBeGreaterThan(0.95);
    // Which of the two is named first is nowhere in the features: about half of the captions have it right.
    expect(by_language.en.exact).toBeGreaterThan(0.3);
    expect(by_language.en.exact).toBeLessThan(0.7);
    expect(by_language.en['BLEU-1']).toBeGreaterThan(0.95);
    expect(by_language.en.CIDEr).toBeGreaterThan(3);
  });

  it('is the same to the last bit when it is stopped after every step, whoever goes on', async () => {
    const lesson = { ...quickLesson, steps: 4 };
    const train = await files.files(placedThings(20, 5), 8);
    const whole = jobOf(lesson, train);
    await learn(whole);
    let from: LearnJob['from'] = null;
    let learning = new Learning();
    for (let step = 1; step <= 4; step++) {
      // Steps until the clock has moved on: one at least.
      const job: LearnJob = jobOf(lesson, train, { forMs: 0, from });
      expect(await learning.learn(job, events)).toMatchObject({ step, done: step === 4 });
      from = { file: job.out, key: job.out };
      if (step !== 2) continue;
      // Its process dies, and another one has the file alone.
      await learning.close();
      learning = new Learning();
    }
    await learning.close();
    expect(Buffer.compare(await readFile(from!.file), await readFile(whole.out))).toBe(0);
    expect(lessonHash({ ...lesson, seed: 1 }, train.spec, 32, '0')).not.toBe(whole.hash);
  });

  it('sees every text once before it sees one again', () => {
    const seen = [1, 2, 3, 4, 5].flatMap((step) => drawn(10, { batch: 4, seed: 3 }, step));
    expect([...seen.slice(0, 10)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([...seen.slice(10)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(seen.slice(0, 10)).not.toEqual(seen.slice(10));
  });

  it('says what is missing where there is nothing to learn', async () => {
    const silent = placedThings(3, 6).map((one) => ({ ...one, truth: {}, texts: {} }));
    const job = jobOf(quickLesson, await files.files(silent));
    await expect(learn(job)).rejects.toThrow(
      /^train: none of its 3 pictures has regions that fit; referringProbe learns from "regions": /,
    );
    await expect(learn({ ...job, lesson: { ...quickLesson, of: 'texts' } })).rejects.toThrow(
      'train: none of its 3 pictures has a caption in the languages of the task, or questions',
    );
    expect(quarterModel.text.length).toBeGreaterThan(16);
  });
});
