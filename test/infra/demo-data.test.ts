import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { demoSets } from '../../infra/demo/data.ts';

/** The set of every place that a recipe names, such as data/emoji-strips. */
function setsOf(file: string): string[] {
  const text = readFileSync(new URL(`../../infra/recipes/${file}`, import.meta.url), 'utf8');
  return [...new Set([...text.matchAll(/"(data\/[^/"]+)/g)].map(([, set]) => set!))].sort();
}

it('the demo makes every set that its recipes name, in training, evaluation and tasks', () => {
  expect(setsOf('emoji.json')).toEqual(['data/emoji']);
  const full = setsOf('emoji-full.json');
  expect(full).toContain('data/emoji-strips');
  expect(Object.keys(demoSets)).toEqual(expect.arrayContaining(full));
  expect(Object.keys(demoSets)).toEqual(expect.arrayContaining(setsOf('emoji-acid.json')));
});
