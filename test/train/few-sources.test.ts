import { expect, it } from 'vitest';
import { fewSources } from '../../src/train/few-sources.ts';

it('figures of any number of sources stay small, and their shares add up to what they did', () => {
  const figures: Record<string, number> = { 'curation/chosen': 1.5, 'loss/sigmoid': 2 };
  for (let i = 0; i < 65_536; i++) {
    figures[`source/www.some-domain-${i}.example.org/candidates`] = 1 / 65_536;
    if (i % 2 === 0) figures[`source/www.some-domain-${i}.example.org/chosen`] = 2 / 65_536;
  }
  figures['source/large/candidates'] = 0.5;
  figures[`source/${'long'.repeat(10_000)}/candidates`] = 0.25;
  const few = fewSources(figures);
  // Two figures of the largest, 18 of others with half of their chosen, the rest, and two that are no shares.
  expect(Object.keys(few)).toHaveLength(2 + 2 + 18 + 9 + 2);
  expect(JSON.stringify(few).length).toBeLessThan(2500);
  expect(few).toMatchObject({ 'curation/chosen': 1.5, 'loss/sigmoid': 2, 'source/large/candidates': 0.5 });
  expect(few['source/other/candidates']).toBeCloseTo(1 - 18 / 65_536, 9);
  expect(few['source/other/chosen']).toBeCloseTo(1 - 18 / 65_536, 9);
  const languages = Array.from({ length: 109 }, (_, i) => [`language/l${i}/drawn`, (i + 1) / 5995]);
  const fewer = fewSources({ ...Object.fromEntries(languages), 'source/web/drawn': 1 });
  expect(Object.keys(fewer)).toHaveLength(22);
  expect(fewer['language/l108/drawn']).toBe(109 / 5995);
  expect(fewer['language/other/drawn']).toBeCloseTo((89 * 90) / 2 / 5995, 9);
  const two = { 'source/web/candidates': 0.4, 'source/web/chosen': 0.25, 'source/a/b/candidates': 0.6 };
  expect(fewSources(two)).toEqual(two);
});
