import { describe, expect, it } from 'vitest';
import { figuresOf } from '../../src/metrics/figure.ts';
import { rightness, vqa } from '../../src/metrics/vqa.ts';
import { load } from './fixtures/load.ts';

/** Made by the official tool: fixtures/make_vqa.py. */
const fixture = load('vqa') as {
  overall: number;
  cases: [said: string, answers: string[], percent: number][];
};
const questions = fixture.cases.map(([answer, answers], i) => ({ name: `${i}`, answer, answers }));

describe('answers to questions', () => {
  it('are as right as the official tool of VQA says, one by one and all together', () => {
    expect(questions.length).toBeGreaterThan(500);
    for (const [i, one] of questions.entries())
      expect(100 * rightness(one).vqa!, JSON.stringify(one)).toBeCloseTo(fixture.cases[i]![2], 5);
    const [all] = figuresOf(vqa(), questions);
    expect(all).toMatchObject({ name: 'vqa', of: questions.length });
    expect(100 * all!.value!).toBeCloseTo(fixture.overall, 5);
    const values = new Set(fixture.cases.map(([, , percent]) => percent));
    expect(values.size).toBeGreaterThan(4);
  });

  it('have no soft accuracy where fewer than four people answered, and are exact where they are one of the answers', () => {
    const one = { name: 'q', answer: 'The cat.', answers: ['cat'] };
    expect(rightness(one)).toEqual({ vqa: null, exact: 1 });
    expect(figuresOf(vqa(), [one, { ...one, answer: 'dog' }])).toEqual([{ name: 'exact', value: 0.5, of: 2 }]);
  });
});
