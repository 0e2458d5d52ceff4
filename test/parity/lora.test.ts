import { expect, it } from 'vitest';
import { l2Normalise } from '../../src/compile/ops/l2-normalise.ts';
import { compile } from '../../src/compile/program.ts';
import { adapterTargets, isAdapter } from '../../src/model/adapters.ts';
import { differentiate } from '../../src/optimiser/differentiate.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { exampleFeeds, lazyFeatures, lossesOf } from '../../src/train/losses.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { distance, openFixture } from './reference.ts';
import { follow, tuning, tuningOf } from './tuning.ts';

const again = { accumulate: 5, remat: 'blocks' } as const;

it.each([
  ['lora', 'as they are', {}],
  ['lora', 'in micro-batches, with blocks computed again', again],
  ['dora', 'as they are', {}],
  ['dora', 'in micro-batches, with blocks computed again', again],
] as const)('adapters have the logits, the gradients and twenty steps of peft: %s, %s', async (kind, _, change) => {
  const { rank, alpha } = tuning[kind];
  const own = kind === 'lora' ? '' : `${kind}/`;
  const fixture = await openFixture('tuning.safetensors');
  const { settings: whole, batchOf, ...base } = await tuningOf();
  const settings: PhaseSettings = {
    ...whole,
    ...change,
    lora: { rank, alpha, targets: adapterTargets, in: ['vision', 'text'], ...(kind === 'dora' && { useDora: true }) },
  };
  const start = (name: string) => (isAdapter(name) ? fixture.floats(`${own}start/${name}`) : base.start(name));
  const phase = phaseState(settings);
  const trained = phase.parameters.map(({ name }) => name).filter((name) => !phase.frozen.has(name));
  const stored = fixture.names.filter((name) => name.startsWith(`${own}start/`));
  expect(trained.map((name) => `${own}start/${name}`).sort()).toEqual([...stored].sort());

  const program = compile({
    state: Object.fromEntries(phase.parameters.map(({ name, shape }) => [name, { shape, dtype: 'float32' }])),
    signatures: {
      look: {
        feeds: exampleFeeds(settings, phase, { count: settings.batches.batch, length: null }),
        run(state, feeds) {
          const { gradients, aside } = differentiate(trained, state, (p) => {
            const features = lazyFeatures(settings, phase, p, state, feeds);
            const { total } = lossesOf(settings, phase, phase.objectives, { p, state, feeds, features });
            const { image, text } = features;
            const cosines = tf.matMul(l2Normalise(image.pooled), l2Normalise(text.pooled), false, true);
            return { value: total, aside: { logits: cosines.mul(p.logit_scale!.exp()).add(p.logit_bias!) } };
          });
          return { outputs: { ...gradients, ...aside } };
        },
      },
    },
  });
  program.write(Object.fromEntries(phase.parameters.map(({ name }) => [name, start(name)])));
  const { images, tokens } = batchOf(0);
  const found = program.run('look', { images, tokens });
  program.dispose();
  expect(distance(found.logits!, fixture.floats(`${own}logits`))).toBeLessThan(2e-6);
  for (const name of trained)
    expect(distance(found[name]!, fixture.floats(`${own}gradients/${name}`)), name).toBeLessThan(2e-5);
  follow(settings, { start, batchOf }, tuning[kind]);
});
