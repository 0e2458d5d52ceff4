import { afterAll, describe, expect, it } from 'vitest';
import { keepDocument } from '../../activities/documents.ts';
import { replan } from '../../activities/replan.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { ReplanInput } from '../../activities/types/shard.ts';
import type { ObjectiveSettings } from '../../src/recipe/objective-settings.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { tinySettings } from '../train/settings.ts';
import { tinyObjectives } from '../train/tiny-objectives.ts';
import { planOf } from '../workflows/harness.ts';
import { hands } from './fixture.ts';

const store = new MemoryStore();
const on = hands();
afterAll(() => on.close());
const { sigmoid, localToGlobal, maskedPrediction } = tinyObjectives;

/** A phase with these objectives, tried again at step 40 with these changes; its teacher remembers ten steps. */
async function again(
  objectives: ObjectiveSettings,
  overrides: ReplanInput['overrides'],
  changes: Partial<PhasePlan> = {},
) {
  const document = await keepDocument(store, 'run', 'pretrain-settings', { ...tinySettings, objectives });
  const plan = { ...planOf('run', 200, 50), settings: document, ...changes };
  const at = { step: 40, examples: 80 };
  const replanned = await replan(on.deps(store), { plan, overrides, at }, on.attempt());
  const settings = JSON.parse((await store.get(replanned.settings.key)).toString()) as PhaseSettings;
  return { ...replanned, objectives: settings.objectives };
}

describe('a phase whose teacher has collapsed', () => {
  const both = { sigmoid, localToGlobal, maskedPrediction };
  const information = { min: 0.01, from: 100 };

  it('is tried again with another temperature and centre of both heads, and has its time anew', async () => {
    const overrides = { teacherTemperature: 0.02, centerMomentum: 0.5 };
    const { objectives, changes, ...plan } = await again(both, overrides, { information });
    expect(objectives).toEqual({
      sigmoid,
      localToGlobal: { ...localToGlobal, ...overrides },
      maskedPrediction: { ...maskedPrediction, ...overrides },
    });
    expect(plan.information).toEqual({ min: 0.01, from: 140 });
    expect(changes).toEqual([
      { what: 'teacherTemperature', from: 0.04, to: 0.02 },
      { what: 'centerMomentum', from: 0.9, to: 0.5 },
    ]);
  });

  it('goes on all the same where nothing is asked of its teacher, and stays so', async () => {
    const { objectives, ...plan } = await again(both, { minInformation: 0 }, { information });
    expect(objectives).toEqual(both);
    expect(plan.information).toBeNull();
    expect((await again(both, { learningRate: 1e-4 }, { information: null })).information).toBeNull();
  });

  it('of an older version is asked nothing until a person asks', async () => {
    expect((await again(both, { learningRate: 1e-4 })).information).toBe(undefined);
    expect((await again(both, { minInformation: 0.02 })).information).toEqual({ min: 0.02, from: 140 });
  });

  it('has to have a teacher', async () => {
    await expect(again({ sigmoid }, { teacherTemperature: 0.02 })).rejects.toThrow(
      'phase pretrain has no teacher whose teacherTemperature could be changed',
    );
    expect((await again({ sigmoid }, { minInformation: 0.02 })).information).toBeNull();
  });
});
