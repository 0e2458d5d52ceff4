import { expect, it } from 'vitest';
import { firstMoment, startCopy } from '../../src/optimiser/optimiser.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import type { RoundState } from '../../src/rounds/state.ts';
import { exchangedOf } from '../../src/train/exchanged.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { tinySettings } from './settings.ts';

it.each(['averaged', 'kept', 'reset'] as const)(
  'nothing of what is frozen is sent in a round, nor where weights are pulled to: moments %s',
  (moments) => {
    const settings = {
      ...tinySettings,
      train: ['text', 'scaleAndBias'],
      optimizer: { ...tinySettings.optimizer, startDecay: 0.01 },
    };
    const state = { tensors: new Map() } as unknown as RoundState;
    const exchanged = exchangedOf(settings, { moments }, state);
    const { parameters, frozen } = phaseState(settings);
    const trained = parameters.map(({ name }) => name).filter((name) => !frozen.has(name));
    const namesOf = (of: readonly { readonly name: string }[]) => of.map(({ name }) => name).sort();
    expect(namesOf(exchanged.parameters)).toEqual([...trained].sort());
    const sent = namesOf([...exchanged.others, ...exchanged.moments]);
    expect(sent).toHaveLength(2 * trained.length);
    for (const name of trained) expect(sent).toContain(firstMoment(name));
    for (const name of [...frozen, startCopy('text_model.head.weight')]) {
      expect(sent).not.toContain(name);
      expect(exchanged.isBeside(name)).toBe(false);
    }
  },
);

it('a bank of texts goes by rows, whatever becomes of moments, and without one nothing else is sent', () => {
  const state = { tensors: new Map() } as unknown as RoundState;
  const othersOf = (negatives: 'local' | 'bank', number = 4) => {
    const replicas = replicasSchema.parse({ number, steps: 5, negatives });
    return exchangedOf({ ...tinySettings, replicas }, { moments: 'reset' }, state);
  };
  const { others, isBeside } = othersOf('bank');
  expect(others).toEqual([{ name: 'state/textBank', shape: [4096, 16], byRow: true }]);
  expect(isBeside('state/textBank')).toBe(false);
  expect(othersOf('local').others).toEqual([]);
  expect(othersOf('bank', 1).others).toEqual([]);
});
