import { expect, it } from 'vitest';
import { labelled, numberByName } from '../../../src/evaluate/evaluators/labels.ts';

it('a class is found by its name or its number, and the name of an example is no number of a class', () => {
  const numberOf = numberByName(['cat', 'dog', '7']);
  expect(['cat', 'dog', '0', '1', '7', '2'].map(numberOf)).toEqual([0, 1, 0, 1, 2, 2]);
  expect(['00000001', '01', '3', 'bird', '', '-1', '1.0'].map(numberOf)).toEqual(Array(7).fill(undefined));
  expect(labelled([['1'], ['00000001'], []], numberOf)).toEqual({
    labels: [[1], [], []],
    leftOut: 2,
    notes: ['1 picture has no label: left out', '1 picture of 1 class has no text, such as "00000001": left out'],
  });
});
