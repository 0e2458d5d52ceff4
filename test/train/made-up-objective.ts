import { normalisePixels, visionTower } from '../../src/model/vision-tower.ts';
import type { Objective } from '../../src/objectives/objective.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

/**
 * An objective that uses every part of the contract, and nothing else: a linear head on the student's pooled features
 * of a second view, which is to be where the teacher's is, less a running mean of where the teacher's was.
 */
export const madeUp: Objective<{ readonly weight: number }> = {
  parameters: (_, { vision }) => [
    { name: 'made_up.weight', shape: [3, vision.width], init: { kind: 'normal', std: 0.5 }, decay: true },
    { name: 'made_up.untaught', shape: [3], init: { kind: 'normal', std: 0.5 }, decay: false },
  ],
  reads: (name) => name.startsWith('vision_model.'),
  state: () => [{ name: 'made_up.center', shape: [3], value: 0.25 }],
  teaches: (name) => name === 'made_up.weight',
  feeds: (_, { vision }, count) => ({
    globalView: { shape: [count, vision.resolution, vision.resolution, 3], dtype: 'uint8' },
  }),
  loss({ p, teacher, state, feeds, features, model, tower }) {
    const student = visionTower(p, model, normalisePixels(feeds.globalView!), tower).pooled;
    const outputs = tf.matMul(student, p['made_up.weight']!, false, true).add(p['made_up.untaught']!);
    const targets = tf.matMul(features.teacherGlobal.pooled, teacher['made_up.weight']!, false, true);
    const center = state['made_up.center']!;
    return {
      loss: outputs.sub(targets.sub(center)).square().sum(1).mean(),
      metrics: { spread: outputs.square().mean() },
      state: { 'made_up.center': center.mul(0.9).add(targets.mean(0).mul(0.1)) },
    };
  },
};
