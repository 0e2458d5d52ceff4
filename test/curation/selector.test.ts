import { describe, expect, it } from 'vitest';
import type { Embeddings, ScoreKind } from '../../src/curation/pair-scores.ts';
import { openSelector, type SelectorSettings } from '../../src/curation/selector.ts';
import { bruteForce, conditionalScore, scoreMatrix } from './brute-force.ts';
import { candidatesOf } from './candidates.ts';
import { chiSquare, oneInAThousand, setProbability, subsets } from './chi-square.ts';

const settings: SelectorSettings = {
  candidates: 40,
  picks: 19,
  chunks: 4,
  scores: 'learnability',
  joint: true,
  learnerWidth: 6,
  teacherWidth: 10,
  seed: 11,
  phase: 'acid',
};
const models = (count: number, salt = 0, temperature = 1.5) => ({
  learner: candidatesOf(count, 6, `learner ${salt}`, temperature),
  teacher: candidatesOf(count, 10, `teacher ${salt}`, 1.2 * temperature),
});

/** Runs one selection, and closes. */
async function select(of: SelectorSettings, step: number, salt: number, options = {}) {
  const selector = openSelector(of, options);
  const selection = await selector.select({ ...models(of.candidates, salt), step });
  selector.dispose();
  return selection;
}

describe('a selection', () => {
  const kinds: ScoreKind[] = ['learnability', 'easyReference', 'hardLearner'];
  const cases = kinds.flatMap((scores) => [true, false].map((joint) => ({ scores, joint })));

  it.each(cases)('is that of a brute-force B x B implementation: %o', async ({ scores, joint }) => {
    const of = { ...settings, scores, joint };
    const selector = openSelector(of, { tile: 16 });
    for (let step = 0; step < 12; step++) {
      const { learner, teacher } = models(40, step);
      const { picked, scores: own, conditional } = await selector.select({ learner, teacher, step });
      const slow = bruteForce(of, step, learner, teacher);
      expect([...picked]).toEqual(slow.picked);
      expect([...own]).toEqual(slow.scores.map((value) => expect.closeTo(value, 5)));
      expect([...conditional]).toEqual(slow.conditional.map((value) => expect.closeTo(value, 4)));
    }
    selector.dispose();
  });

  it.each([
    { candidates: 40, picks: 40, chunks: 16 },
    { candidates: 7, picks: 1, chunks: 1 },
    { candidates: 33, picks: 32, chunks: 32 },
  ])('is so at the ends of what is allowed: %o', async (sizes) => {
    const of = { ...settings, ...sizes };
    const { learner, teacher } = models(of.candidates, 5);
    expect([...(await select(of, 5, 5)).picked]).toEqual(bruteForce(of, 5, learner, teacher).picked);
  });

  it('is so with tiles large enough for fused loops, the last one not full', async () => {
    const of = { ...settings, candidates: 400, picks: 180, chunks: 3 };
    const { learner, teacher } = models(400, 1);
    const slow = bruteForce(of, 1, learner, teacher);
    // 60 x 300 elements are above the 16,384 from which loops are fused.
    for (const options of [{ tile: 300 }, { tile: 300, fuseFrom: Number.POSITIVE_INFINITY }, {}]) {
      const { picked, conditional } = await select(of, 1, 1, options);
      expect([...picked]).toEqual(slow.picked);
      expect([...conditional]).toEqual(slow.conditional.map((value) => expect.closeTo(value, 3)));
    }
  });

  it('is another in each step, phase and run, and does not depend on the one before', async () => {
    const selector = openSelector(settings);
    const inputs = models(40);
    const first = await selector.select({ ...inputs, step: 1 });
    const second = await selector.select({ ...inputs, step: 2 });
    expect(await selector.select({ ...inputs, step: 1 })).toEqual(first);
    expect([...second.picked]).not.toEqual([...first.picked]);
    selector.dispose();
    for (const other of [{ seed: 12 }, { phase: 'other' }]) {
      expect([...(await select({ ...settings, ...other }, 1, 0)).picked]).not.toEqual([...first.picked]);
    }
  });

  it('gives every set as often as chunk after chunk drawn by the conditional scores would', async () => {
    const of = { ...settings, candidates: 6, picks: 4, chunks: 2 };
    const { learner, teacher } = models(6, 3, 5);
    const s = scoreMatrix('learnability', 6, learner, teacher);
    const all = [0, 1, 2, 3, 4, 5];
    const logits = (chosen: number[]) =>
      new Map(all.filter((j) => !chosen.includes(j)).map((j) => [j, conditionalScore(s, chosen, j)]));
    const sets = subsets(all, 4);
    const chance = (set: number[], second: (first: number[]) => ReadonlyMap<number, number>) =>
      subsets(set, 2)
        .map(
          (first) =>
            setProbability(logits([]), first) *
            setProbability(
              second(first),
              set.filter((k) => !first.includes(k)),
            ),
        )
        .reduce((a, b) => a + b);
    const selector = openSelector(of);
    const seen = sets.map(() => 0);
    for (let step = 0; step < 4000; step++) {
      const { picked } = await selector.select({ learner, teacher, step });
      seen[sets.findIndex((set) => set.join() === picked.join())]!++;
    }
    selector.dispose();
    const probabilities = sets.map((set) => chance(set, logits));
    expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    expect(chiSquare(seen, probabilities)).toBeLessThan(oneInAThousand);
    // It would notice a second chunk that is drawn by what each is worth by itself.
    const alone = sets.map((set) =>
      chance(set, (first) => new Map([...logits([])].filter(([j]) => !first.includes(j)))),
    );
    expect(chiSquare(seen, alone)).toBeGreaterThan(3 * oneInAThousand);
  });

  it('takes what the teacher knows and the learner does not, not what neither can know or both do', async () => {
    const [learnable, noise, learnt] = [40, 120, 40];
    const pairs = (cosines: number[]): Embeddings => ({
      images: Float32Array.from(cosines.flatMap(() => [1, 0])),
      texts: Float32Array.from(cosines.flatMap((cosine) => [cosine, Math.sqrt(1 - cosine ** 2)])),
      logitScale: Math.log(60),
      logitBias: -30,
    });
    const shares = (...of: [number, number][]) => of.flatMap(([count, cosine]) => Array<number>(count).fill(cosine));
    const learner = pairs(shares([learnable, 0.1], [noise, 0.1], [learnt, 0.9]));
    const teacher = pairs(shares([learnable, 0.9], [noise, 0.1], [learnt, 0.9]));
    const take = async (scores: ScoreKind) => {
      const of = { ...settings, candidates: 200, picks: 40, joint: false, learnerWidth: 2, teacherWidth: 2, scores };
      const selector = openSelector(of);
      const { picked } = await selector.select({ learner, teacher, step: 1 });
      const between = (from: number, to: number) => picked.filter((k) => k >= from && k < to).length;
      return [between(0, 40), between(40, 160), between(160, 200)];
    };
    expect(await take('learnability')).toEqual([40, 0, 0]);
    // What is hard is as often noise, and what is easy as often learnt already.
    const hard = await take('hardLearner');
    expect(hard[1]).toBeGreaterThan(20);
    expect(hard[2]).toBe(0);
    const easy = await take('easyReference');
    expect(easy[1]).toBe(0);
    expect(easy[2]).toBeGreaterThan(10);
  });

  it('needs the embeddings of the models that its scores look at, and no others', async () => {
    const { learner, teacher } = models(40);
    const easy = openSelector({ ...settings, scores: 'easyReference' });
    expect((await easy.select({ teacher, step: 1 })).picked).toHaveLength(19);
    easy.dispose();
    const learnable = openSelector(settings);
    await expect(learnable.select({ learner, step: 1 })).rejects.toThrow(
      'learnability needs images of the teacher as 40 rows of 10, but got none numbers',
    );
    const short = { ...learner, texts: learner.texts.subarray(6) };
    await expect(learnable.select({ learner: short, teacher, step: 1 })).rejects.toThrow('40 rows of 6, but got 234');
    const broken = { ...learner, images: learner.images.map((value, k) => (k === 100 ? Number.NaN : value)) };
    await expect(learnable.select({ learner: broken, teacher, step: 7 })).rejects.toMatchObject({
      code: 'NonFinite',
      details: { step: 7 },
    });
    learnable.dispose();
  });

  it.each([
    [{ picks: 41 }, "41 of 40 candidates can't be chosen"],
    [{ picks: 0 }, "0 of 40 candidates can't be chosen"],
    [{ chunks: 20 }, "19 can't be chosen in 20 chunks; allowed: 1 to 19"],
    [{ chunks: 1.5 }, "19 can't be chosen in 1.5 chunks"],
  ])('refuses %o', (change, message) => {
    expect(() => openSelector({ ...settings, ...change })).toThrow(message);
  });
});
