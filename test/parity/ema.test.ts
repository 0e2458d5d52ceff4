import { expect, it } from 'vitest';
import { emaCopy, phaseState } from '../../src/train/phase-state.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { openFixture } from './reference.ts';
import { tuningOf } from './tuning.ts';

/** Softmax does not see a shift of all keys: the gradient of their bias is rounding, which Adam scales up. */
const noise = /k_proj.bias|in_proj_bias/;
const decay = 0.9;

it.each(['fixed', 'warmed'] as const)(
  "an average after twenty steps is that of PyTorch's AveragedModel, in doubles: decay %s",
  async (kind) => {
    const { settings: whole, start, batchOf } = await tuningOf();
    const settings = { ...whole, ema: { decay, warmup: kind === 'warmed' } };
    const fixture = await openFixture('ema.safetensors');
    const { parameters } = phaseState(settings);
    const starts = parameters.flatMap(({ name }) => [name, emaCopy(name)].map((key) => [key, start(name)] as const));
    const trainer = createTrainer(settings);
    trainer.program.write({ ...freshState(settings), ...Object.fromEntries(starts) });
    for (let step = 0; step < 20; step++) trainer.step(step + 1, batchOf(step));
    const state = trainer.program.read(trainer.stateNames);
    trainer.program.dispose();
    let [wrong, elsewhere] = [0, 0];
    for (const { name } of parameters) {
      if (noise.test(name)) continue;
      const expected = fixture.floats(`${kind}/${name}`);
      const apart = (values: ArrayLike<number>) => Math.max(...expected.map((x, i) => Math.abs(x - values[i]!)));
      wrong = Math.max(wrong, apart(state[emaCopy(name)]!));
      elsewhere = Math.max(elsewhere, apart(state[name]!));
    }
    expect(wrong).toBeLessThan(2e-6);
    expect(elsewhere).toBeGreaterThan(1e-3);
  },
);
