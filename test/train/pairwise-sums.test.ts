import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../src/compile/build.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer, stepDefinition } from '../../src/train/step.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch, tinyObjectives } from './tiny-objectives.ts';

// The vision tower runs on pictures and on their views, so that with sums over micro-batches gradients have three terms.
const { sigmoid, localToGlobal } = tinyObjectives;
const settings = { ...tinySettings, accumulate: 3, objectives: { sigmoid, localToGlobal } };

describe('sums of three terms', () => {
  it('end in the same bytes every time', () => {
    const trainer = createTrainer(settings);
    const batches = [noiseBatch(settings, 1), noiseBatch(settings, 2)];
    const run = () => {
      trainer.program.write(freshState(settings));
      for (const [i, batch] of batches.entries()) trainer.step(i + 1, batch);
      return trainer.program.read(trainer.stateNames);
    };
    const first = run();
    // Left to TensorFlow, all but two of 24 others differed.
    for (let again = 0; again < 8; again++) {
      const values = run();
      for (const name of trainer.stateNames) expect(values[name], name).toEqual(first[name]);
    }
    trainer.program.dispose();
  }, 60_000);

  it.each(['f32', 'bf16'] as const)(
    'are marked in every graph and function, %s, as what TensorFlow is not to gather',
    (precision) => {
      for (const xla of [false, true]) {
        const { graph } = buildGraph(stepDefinition(settings), { precision, xla });
        const nodes = [...graph.nodes, ...[...graph.functions.values()].flatMap(({ body }) => body)];
        const adds = nodes.filter(({ op }) => /^Add(V2)?$/.test(op));
        expect(adds.length).toBeGreaterThan(20);
        for (const { name, attrs } of adds)
          expect(attrs._grappler_ArithmeticOptimizer_AddOpsRewriteStage, name).toEqual({ b: true });
      }
    },
  );
});
