import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isMoment } from '../../src/optimiser/optimiser.ts';
import { checkpointBytes } from '../../src/train/checkpoint-bytes.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { readUpdates, updateTensors } from '../../src/train/stored-updates.ts';
import { atRest } from '../../src/train/updates.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch } from './tiny-objectives.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-without-moments-'));
  await mkdir(join(folder, 'whole'));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each([0, 7])('a state of step %i that was written without moments', (step) => {
  it('is as small as is planned, and whoever goes on from it has zeros and counts from nothing', async () => {
    const trainer = createTrainer(tinySettings);
    trainer.program.write(freshState(tinySettings));
    for (let i = 1; i <= step; i++) trainer.step(i, noiseBatch(tinySettings, i));
    const state = trainer.program.read(trainer.stateNames);
    trainer.program.dispose();
    const tensors = updateTensors(atRest(phaseState(tinySettings), step));
    const { state: files } = await writeState(folder, tinySettings, state, { tensors, withoutMoments: true });
    const numbers = phaseState(tinySettings).parameters.map(({ shape }) => shape.reduce((a, b) => a * b, 1));
    const moments = 8 * numbers.reduce((a, b) => a + b, 0);
    expect(checkpointBytes(tinySettings).each - checkpointBytes(tinySettings, true).each).toBe(moments);
    const { state: all } = await writeState(join(folder, 'whole'), tinySettings, state, { tensors });
    const sum = (of: typeof all) => of.reduce((total, { bytes }) => total + bytes, 0);
    // Their names in headers are beside it.
    expect(sum(all) - sum(files) - moments).toBeGreaterThan(0);
    expect(sum(all) - sum(files)).toBeLessThan(1.4 * moments);

    const read = await readState(folder, tinySettings);
    expect(Object.keys(read).sort()).toEqual(Object.keys(state).sort());
    for (const [name, values] of Object.entries(read))
      if (isMoment(name))
        expect(
          values.every((value) => value === 0),
          name,
        ).toBe(true);
      else expect(values, name).toEqual(state[name]);
    for (const within of [true, false]) {
      const { own } = await readUpdates(folder, tinySettings, { step, within });
      const counts = Object.values(own).map((of) => [...of]);
      // A count that is the step is not told.
      expect(counts).toEqual(step === 0 ? [] : phaseState(tinySettings).parameters.map(() => [0]));
    }
  });
});
