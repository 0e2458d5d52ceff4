import { afterAll, describe, expect, it } from 'vitest';
import type { Values } from '../../src/compile/definition.ts';
import { partOf } from '../../src/model/parameter-parts.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { isWatched, teacherFigures } from '../../src/train/watched.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch, tinyObjectives } from './tiny-objectives.ts';

// Held to the start, so that what pulls weights there is among what a step changed of them.
const optimizer = { ...tinySettings.optimizer, startDecay: 0.05 };
const settings: PhaseSettings = { ...tinySettings, optimizer, objectives: tinyObjectives };
const phase = phaseState(settings);

const batchAt = (step: number) => noiseBatch(settings, step);

const trainer = createTrainer(settings);
afterAll(() => trainer.program.dispose());
const read = () => trainer.program.read(trainer.stateNames);
trainer.program.write(freshState(settings));
const first = trainer.watch(1, batchAt(1));
for (let step = 1; step < 8; step++) trainer.step(step, batchAt(step));
const before = read();
trainer.step(8, batchAt(8));
const after = read();
const watched = trainer.watch(8, batchAt(8));

/** In float64, number by number. */
function normsOf(values: (name: string) => ArrayLike<number>): Record<string, number> {
  const squares: Record<string, number> = {};
  for (const { name } of phase.parameters) {
    const sum = Array.from(values(name)).reduce((all, x) => all + x * x, 0);
    squares[partOf(name)] = (squares[partOf(name)] ?? 0) + sum;
  }
  return Object.fromEntries(Object.entries(squares).map(([part, sum]) => [part, Math.sqrt(sum)]));
}

describe('norms by part', () => {
  it('are those of the parameters after the step, and of what it changed of them', () => {
    const parameters = normsOf((name) => after[name]!);
    const updates = normsOf((name) => after[name]!.map((x, i) => x - before[name]![i]!));
    expect(Object.keys(parameters)).toHaveLength(11);
    for (const [part, norm] of Object.entries(parameters))
      expect(watched[`norm/parameters/${part}`]! / norm, part).toBeCloseTo(1, 5);
    for (const [part, norm] of Object.entries(updates))
      expect(watched[`norm/updates/${part}`]! / norm, part).toBeCloseTo(1, 3);
  });

  it('move no bit of the state, and are made at the same steps in every run', () => {
    for (const [name, values] of Object.entries(read())) expect(values, name).toEqual(after[name]);
    expect([1, 50, 99, 100, 101, 200].map(isWatched)).toEqual([false, false, false, true, false, true]);
  });
});

describe('information', () => {
  it('of a step in micro-batches is that of the whole batch', () => {
    const { localToGlobal, maskedPrediction } = tinyObjectives;
    const taught = { ...settings, objectives: { localToGlobal, maskedPrediction }, accumulate: 3 };
    const other = createTrainer(taught);
    other.program.write(freshState(taught));
    const parts = other.watch(1, batchAt(1));
    other.program.dispose();
    const names = Object.keys(first).filter((name) => name.includes('teacher'));
    expect(names).toEqual(
      ['localToGlobal', 'maskedPrediction'].flatMap((of) =>
        ['Entropy', 'MeanEntropy', 'Information'].map((figure) => `${of}/teacher${figure}`),
      ),
    );
    for (const name of names) expect(parts[name], name).toBeCloseTo(first[name]!, 4);
  });

  it('is that of rows and prototypes: all of it, none of it, and between', () => {
    const said = (...rows: number[][]): Values => {
      const mean = rows[0]!.map((_, k) => rows.reduce((sum, row) => sum + row[k]! / rows.length, 0));
      const entropy = rows.flat().reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0) / rows.length;
      return { 'x/mean': Float32Array.from(mean), 'x/entropy': Float32Array.of(entropy) };
    };
    const information = (...parts: Values[]) => teacherFigures(parts)['x/teacherInformation'];
    expect(information(said([1, 0, 0, 0], [0, 1, 0, 0]))).toBeCloseTo(Math.log(2), 6);
    expect(information(said([1, 0, 0, 0]), said([0, 0, 1, 0]))).toBeCloseTo(Math.log(2), 6);
    expect(information(said([1, 0, 0, 0], [1, 0, 0, 0]))).toBe(0);
    expect(information(said([0.25, 0.25, 0.25, 0.25], [0.25, 0.25, 0.25, 0.25]))).toBeCloseTo(0, 6);
    // I(X; Y) of a symmetric channel that is wrong once in four: log 2 - H(1/4).
    const wrong = -0.25 * Math.log(0.25) - 0.75 * Math.log(0.75);
    expect(information(said([0.75, 0.25], [0.25, 0.75]))).toBeCloseTo(Math.log(2) - wrong, 6);
    expect(teacherFigures([])).toEqual({});
  });
});
