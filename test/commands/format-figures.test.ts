import { expect, it } from 'vitest';
import { formatFigures } from '../../src/commands/format-figures.ts';

it('tells how a phase stands, in lines, and nothing that is not known', () => {
  const objectives = {
    'captioning/captioning': 2.25,
    'captioning/referring': 1.5,
    'captioning/grounded': 0.75,
    'source/web/drawn': 0.5,
    'source/books/drawn': 0.25,
    'language/en/drawn': 1,
  };
  const figures = {
    ...{ learningRate: 0.00095, gradientNorm: 0.8312, clippedShare: 0.12, temperature: 14.21, logitBias: -5.5 },
    'language/en/drawn/mean': 0.9,
    'localToGlobal/teacherEntropy': 2.1,
    'localToGlobal/teacherMeanEntropy': 2.5,
    'localToGlobal/teacherInformation': 0.4,
    'norm/parameters/mapHead': 12.345,
    'norm/updates/mapHead': 0.01234,
  };
  expect(formatFigures(objectives, figures)).toEqual([
    'learning rate 0.00095, gradient norm 0.831, clipped in 12.0 % of steps, temperature 14.2, bias -5.5',
    'decoder: captioning 2.250, referring 1.500, grounded 0.750',
    'teacher of localToGlobal: information 0.400 nats, entropy 2.100, of the mean 2.500',
    'trained on: web 50.0 %, books 25.0 %; en 90.0 %',
    'norms (of the last update): mapHead 12.3 (0.0123)',
  ]);
  expect(formatFigures({}, { 'loss/mean': 2 })).toEqual([]);
});
