import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Embeddings, placesOfConcept } from '../../src/evaluate/concept-places.ts';
import { shareAmong } from '../../src/evaluate/numbers/places.ts';
import { type EvaluationReport, evaluateEmbeddings } from '../../src/evaluate/report.ts';
import { classEmbeddings } from '../../src/evaluate/zero-shot.ts';
import { randomStream } from '../../src/runtime/random.ts';

/** Made by scikit-learn and NumPy: fixtures/make_fixtures.py. */
const fixture = JSON.parse(readFileSync(new URL('fixtures/figures.json', import.meta.url), 'utf8')) as {
  width: number;
  images: { rows: number[]; concepts: number[] };
  texts: Record<string, { rows: number[]; concepts: number[] }>;
  figures: Record<string, Record<'zero_shot' | 'retrieval', Record<string, number | Record<string, number>>>>;
};
const embeddings = ({ rows, concepts }: { rows: number[]; concepts: number[] }): Embeddings => ({
  width: fixture.width,
  rows: Float32Array.from(rows),
  concepts: Int32Array.from(concepts),
});

/** Unit rows near the direction of their concept, with duplicates so that there are ties. */
function noisy(seed: number, concepts: readonly number[], width: number, noise: number): Embeddings {
  const rows = new Float32Array(concepts.length * width);
  concepts.forEach((concept, i) => {
    const direction = randomStream(seed, 'direction', concept);
    const own = randomStream(seed, 'noise', Math.floor(i / 2));
    const row = Array.from({ length: width }, () => direction.normal() + noise * own.normal());
    const length = Math.hypot(...row);
    for (let k = 0; k < width; k++) rows[i * width + k] = row[k]! / length;
  });
  return { width, rows, concepts: Int32Array.from(concepts) };
}

/** What placesOfConcept promises, word by word: sort all candidates, look for the first right one. */
function slowPlaces(queries: Embeddings, candidates: Embeddings, most: number): number[] {
  const { width } = queries;
  return [...queries.concepts].map((concept, i) => {
    const scores = [...candidates.concepts.keys()].map((j) => {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += queries.rows[i * width + k]! * candidates.rows[j * width + k]!;
      return { j, sum };
    });
    scores.sort((a, b) => b.sum - a.sum || a.j - b.j);
    return Math.min(
      most,
      scores.findIndex(({ j }) => candidates.concepts[j] === concept),
    );
  });
}

const pause = async () => {};

describe('places of concepts', () => {
  it('are those of a full sort, also with ties, repeated concepts and concepts without a candidate', async () => {
    const queries = noisy(
      1,
      Array.from({ length: 83 }, (_, i) => (i * 7) % 41),
      10,
      1,
    );
    const candidates = noisy(
      1,
      Array.from({ length: 70 }, (_, i) => Math.floor(i / 2) % 37),
      10,
      0.5,
    );
    for (const most of [3, 10, 70])
      expect([...(await placesOfConcept(queries, candidates, most, pause))]).toEqual(
        slowPlaces(queries, candidates, most),
      );
    const places = await placesOfConcept(queries, candidates, 10, pause);
    expect([...places].filter((place) => place === -1)).toHaveLength(
      [...queries.concepts].filter((concept) => concept >= 35).length,
    );
  });

  it('of a model that maps everything to one point give chance', async () => {
    const point = (n: number): Embeddings => ({
      width: 3,
      rows: new Float32Array(3 * n).fill(0.5),
      concepts: Int32Array.from({ length: n }, (_, i) => i),
    });
    const places = await placesOfConcept(point(50), point(50), 10, pause);
    expect(shareAmong(places, 1)).toBe(1 / 50);
    expect(shareAmong(places, 5)).toBe(5 / 50);
  });

  it('of 1,800 images and 1,800 texts of width 128 take less than 2 s of one core', async () => {
    const concepts = Array.from({ length: 1800 }, (_, i) => i);
    const [images, texts] = [noisy(2, concepts, 128, 1), noisy(2, concepts, 128, 2)];
    // Time of the processor: others may be at work on this machine.
    const started = process.cpuUsage();
    const places = await placesOfConcept(images, texts, 10, pause);
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1e6).toBeLessThan(2);
    expect(shareAmong(places, 1)).toBeGreaterThan(0.5);
    expect(await placesOfConcept(images, texts, 10, pause)).toEqual(places);
  });
});

describe('class embeddings', () => {
  it('are the mean of unit prompt embeddings, of unit length again', () => {
    const classes = classEmbeddings({
      width: 2,
      rows: Float32Array.of(1, 0, 0, -1, 0, 1),
      concepts: Int32Array.of(4, 2, 4),
    });
    expect([...classes.concepts]).toEqual([4, 2]);
    expect([...classes.rows]).toEqual([Math.fround(Math.SQRT1_2), Math.fround(Math.SQRT1_2), 0, -1]);
  });
});

describe('retrieval of images with several captions each', () => {
  /** Made by CLIP_benchmark: fixtures/make_retrieval.py. */
  const known = JSON.parse(readFileSync(new URL('fixtures/retrieval.json', import.meta.url), 'utf8')) as {
    width: number;
    images: number[];
    texts: number[];
    image_of_text: number[];
    figures: Record<string, number>;
  };

  it('has the figures of CLIP_benchmark: any caption of an image is right, and every caption is a query', async () => {
    const { width, image_of_text, figures } = known;
    const count = known.images.length / width;
    // All of one class: what counts is the picture.
    const images = { width, rows: Float32Array.from(known.images), concepts: new Int32Array(count) };
    const label = { width, rows: images.rows.slice(0, width), concepts: Int32Array.of(0) };
    const captions = { width, rows: Float32Array.from(known.texts), concepts: Int32Array.from(image_of_text) };
    const { retrieval, zero_shot } = await evaluateEmbeddings(images, { en: label }, pause, { en: captions });
    expect(zero_shot).toMatchObject({ classes: 1, top1: 1 });
    expect(retrieval).toMatchObject({ images: 40, texts: image_of_text.length, left_out: 0 });
    for (const k of [1, 5, 10] as const) {
      expect(retrieval.image_to_text[`r${k}`]).toBeCloseTo(figures[`text_retrieval_recall@${k}`]!, 6);
      expect(retrieval.text_to_image[`r${k}`]).toBeCloseTo(figures[`image_retrieval_recall@${k}`]!, 6);
    }
    expect(figures['text_retrieval_recall@1']).toBeLessThan(1);
    expect(figures['image_retrieval_recall@1']).not.toBe(figures['text_retrieval_recall@1']);
  });
});

describe('the report', () => {
  let report: EvaluationReport;
  beforeAll(async () => {
    report = await evaluateEmbeddings(
      embeddings(fixture.images),
      Object.fromEntries(Object.entries(fixture.texts).map(([language, texts]) => [language, embeddings(texts)])),
    );
  });

  it.each(Object.keys(fixture.figures))('has the figures of scikit-learn and of a plain loop in %s', (language) => {
    const { zero_shot, retrieval } = fixture.figures[language]!;
    const close = (figures: object): object =>
      Object.fromEntries(
        Object.entries(figures).map(([name, value]) => [
          name,
          typeof value === 'object' ? close(value) : expect.closeTo(value, 12),
        ]),
      );
    const classes = zero_shot.classes as number;
    expect(report.zero_shot.by_language[language]).toEqual({
      ...close(zero_shot),
      chance: 1 / classes,
      times_chance: expect.closeTo((zero_shot.top1 as number) * classes, 9),
    });
    expect(report.retrieval.by_language[language]).toEqual(close(retrieval));
  });

  it('puts the figures of the first language at the top, and stays small', () => {
    expect(report.zero_shot).toMatchObject({ language: 'en', top1: 0.6, classes: 40 });
    expect(report.retrieval).toMatchObject({ language: 'en', texts: 99 });
    expect(JSON.stringify(report).length).toBeLessThan(2500);
  });

  it('reports a language without texts as left out, and goes to the next for the figures at the top', async () => {
    const nothing: Embeddings = { width: fixture.width, rows: new Float32Array(0), concepts: new Int32Array(0) };
    const images = embeddings(fixture.images);
    const mixed = await evaluateEmbeddings(images, { xx: nothing, de: embeddings(fixture.texts.de!) });
    expect(mixed.zero_shot.by_language.xx).toEqual({ classes: 0, examples: 0, left_out: 90 });
    expect(mixed.zero_shot.language).toBe('de');
    await expect(evaluateEmbeddings(images, { xx: nothing })).rejects.toThrow(
      /evaluate\.languages is xx, and none of the 90/,
    );
  });
});
