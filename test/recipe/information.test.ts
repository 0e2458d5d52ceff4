import { expect, it } from 'vitest';
import { informationBound } from '../../src/recipe/information.ts';
import { tinyObjectives } from '../train/tiny-objectives.ts';

const teacher = (momentum: number) => ({ objectives: tinyObjectives, teacher: { momentum } });

it('a teacher has ten times as long as it remembers before it has to say something; no teacher has none to say', () => {
  expect(informationBound(teacher(0.966), 0)).toEqual({ min: 0.01, from: 294 });
  expect(informationBound(teacher(0.996), 1000, 0.1)).toEqual({ min: 0.1, from: 3500 });
  expect(informationBound(teacher(0.966), 0, 0)).toBeNull();
  expect(informationBound(teacher(1), 0)).toBeNull();
  const { sigmoid, captioning } = tinyObjectives;
  expect(informationBound({ objectives: { sigmoid, captioning }, teacher: { momentum: 0.9 } }, 0, 1)).toBeNull();
});
