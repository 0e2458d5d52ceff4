import { expect, it } from 'vitest';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch } from './tiny-objectives.ts';

it('pairs that are no negatives are told of a whole batch in micro-batches too, and change what is learned', () => {
  const train = (change: Partial<PhaseSettings>) => {
    const settings = { ...tinySettings, ...change };
    const trainer = createTrainer(settings);
    trainer.program.write(freshState(settings));
    // The arrays of a batch are those of the objectives that need them.
    const all = { ...settings, objectives: { sigmoid: { weight: 1, kin: 'ignored' as const } } };
    const losses = [1, 2, 3].map((step) => trainer.step(step, noiseBatch(all, step)).loss);
    trainer.program.dispose();
    return losses;
  };
  const objectives = { sigmoid: { weight: 1, kin: 'ignored' as const } };
  const whole = train({ objectives });
  const parts = train({ objectives, accumulate: 3 });
  const plain = train({});
  for (const [i, loss] of parts.entries()) expect(loss).toBeCloseTo(whole[i]!, 5);
  expect(plain[0]! - whole[0]!).toBeGreaterThan(0.01);
});
