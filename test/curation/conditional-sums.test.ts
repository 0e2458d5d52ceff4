import { describe, expect, it } from 'vitest';
import { openConditionalSums } from '../../src/curation/conditional-sums.ts';
import { ownScores, type ScoreKind } from '../../src/curation/pair-scores.ts';
import { conditionalScore, scoreMatrix } from './brute-force.ts';
import { candidatesOf } from './candidates.ts';

describe('sums updated chunk by chunk', () => {
  const count = 240;
  const learner = candidatesOf(count, 24, 'learner', 20);
  const teacher = candidatesOf(count, 32, 'teacher', 30);
  const sizes = { candidates: count, widths: { learner: 24, teacher: 32 }, chunk: 70 };
  const chunks = [70, 70, 1, 69].map((size, i, all) => {
    const first = all.slice(0, i).reduce((a, b) => a + b, 0);
    // Strides of 7 mix the rows: 7 and 240 have no common divisor.
    return Int32Array.from({ length: size }, (_, k) => (7 * (first + k)) % count).sort();
  });

  it.each<ScoreKind>(['learnability', 'easyReference', 'hardLearner'])(
    'are the full sums to float32 rounding: %s',
    async (scores) => {
      const s = scoreMatrix(scores, count, learner, teacher);
      // 70 x 250 elements are fused.
      const sums = openConditionalSums({ ...sizes, scores }, { tile: 250 });
      const logits = ownScores(scores, count, { learner, teacher });
      const chosen: number[] = [];
      for (const chunk of chunks) {
        chosen.push(...chunk);
        const open = Int32Array.from([...logits.keys()].filter((j) => !chosen.includes(j)));
        const closed = chosen.map((j) => logits[j]!);
        await sums.add(logits, chunk, open, { learner, teacher });
        for (const j of open) {
          // Losses have one sign, their differences do not: an error is a share of what was added up.
          const added = chosen.reduce((sum, i) => sum + Math.abs(s[i]![j]!) + Math.abs(s[j]![i]!), 1);
          expect(Math.abs(logits[j]! - conditionalScore(s, chosen, j)) / added).toBeLessThan(1e-6);
        }
        // Those who are chosen already are not looked at.
        expect(chosen.map((j) => logits[j]!)).toEqual(closed);
      }
      expect(chosen).toHaveLength(210);
      sums.dispose();
    },
  );

  it('stay exact where single losses are as small as e^-20, and as large as 100', async () => {
    const sharp = { ...learner, logitScale: Math.log(100), logitBias: -10 };
    const s = scoreMatrix('hardLearner', count, sharp, teacher);
    const open = Int32Array.from({ length: count - 70 }, (_, j) => j + 70);
    const chosen = Int32Array.from({ length: 70 }, (_, i) => i);
    const sums = openConditionalSums({ ...sizes, scores: 'hardLearner' });
    const logits = new Float64Array(count);
    await sums.add(logits, chosen, open, { learner: sharp });
    for (const j of open) {
      const want = conditionalScore(s, [...chosen], j) - s[j]![j]!;
      // A cosine has an error of 1e-7, times 100.
      expect(Math.abs(logits[j]! / want - 1)).toBeLessThan(2e-5);
    }
    sums.dispose();
  });
});
