import { expect, it } from 'vitest';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';

const recipe = (phase: object) =>
  parseRecipe({
    version: 1,
    model: { vision: { size: 'B', patch: 16, resolution: 224 }, text: {} },
    data: { train: 'data/train' },
    schedule: { total: { steps: 100 } },
    phases: [{ name: 'pretrain', batch: 8, ...phase }],
  });
const settingsOf = (phase: object) => {
  const parsed = recipe(phase);
  return phaseSettings(parsed, parsed.phases[0]!, { examples: 800, vocabulary: null });
};

it('an average has the decay of torch and a warm-up where nothing else is said, and a phase without one says nothing of it', () => {
  expect(settingsOf({ ema: {} }).ema).toEqual({ decay: 0.999, warmup: true });
  expect(settingsOf({ ema: { decay: 0.9999, warmup: false } }).ema).toEqual({ decay: 0.9999, warmup: false });
  expect('ema' in settingsOf({})).toBe(false);
});

it.each([
  [{ ema: { decay: 1 } }, /ema\.decay is 1; allowed: a number of at least 0, below 1/],
  [{ ema: { decay: -0.1 } }, /phases\.pretrain\.ema\.decay/],
  [{ ema: { momentum: 0.9 } }, /momentum/],
  [{ ema: {}, freeze: ['vision', 'text', 'scaleAndBias'] }, /trains nothing/],
  [{ ema: {}, replicas: { number: 2, steps: 5 } }, /phases\.pretrain\.ema is kept by one worker; no replicas/],
])('an average that can not be is refused: %j', (phase, sentence) => {
  expect(() => recipe(phase)).toThrow(sentence);
});
