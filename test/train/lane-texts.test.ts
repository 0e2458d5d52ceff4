import { describe, expect, it } from 'vitest';
import { embeddingWidth } from '../../src/model/sizes.ts';
import { bankRows } from '../../src/recipe/text-bank.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { laneTexts } from '../../src/train/lane-texts.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch } from './tiny-objectives.ts';

const width = embeddingWidth(tinySettings.model);
const key = 'state/textBank';
const settingsOf = (replicas: number, rows: number, accumulate = 1) => ({
  ...tinySettings,
  accumulate,
  objectives: { sigmoid: { weight: 1, bank: { replicas, rows } } },
});
const unit = (row: number[]) => row.map((x) => x / Math.hypot(...row));

const isSame = (a: ArrayBufferView, b: ArrayBufferView) =>
  Buffer.compare(
    Buffer.from(a.buffer, a.byteOffset, a.byteLength),
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  ) === 0;

/** Texts of two slots of three, 5 of each. */
function bankOf(): Float32Array {
  const random = randomStream(2, 'bank');
  const bank = new Float32Array(bankRows * width);
  for (const first of [0, 1365])
    for (let row = first; row < first + 5; row++)
      bank.set(unit(Array.from({ length: width }, () => random.normal())), row * width);
  return bank;
}

describe('a compiled step with a bank', () => {
  it.each([1, 3])('in %i micro-batches meets the texts of other slots, and gives those of its batch', (accumulate) => {
    const trainer = createTrainer(settingsOf(3, 5, accumulate));
    const plain = createTrainer({ ...tinySettings, accumulate });
    const state = freshState(settingsOf(3, 5));
    const bank = bankOf();
    const batch = noiseBatch(tinySettings, 1);
    const { [key]: _, ...without } = state;
    plain.program.write(without);
    const local = plain.step(1, batch);
    trainer.program.write({ ...state, [key]: bank });
    // Of slot 2 there is nothing: what it trains with is the whole bank.
    laneTexts(trainer.program, settingsOf(3, 5), 2);
    const { loss, texts, objectives } = trainer.step(1, batch);
    expect(Object.keys(objectives).sort()).toEqual(['loss/sigmoid', 'sigmoid/bank']);
    expect(texts).toHaveLength(6 * width);
    for (let i = 0; i < 6; i++) expect(Math.hypot(...texts!.subarray(i * width, (i + 1) * width))).toBeCloseTo(1, 5);
    expect(loss).toBeCloseTo(local.loss + objectives['sigmoid/bank']!, 4);
    expect(local.texts).toBe(undefined);
    // Ten texts weigh 12: an image has cosines of -1 to 1 with them, at a temperature of 10 and a bias of -2.
    expect(objectives['sigmoid/bank']).toBeGreaterThan(12 * Math.log1p(Math.exp(-12)));
    expect(objectives['sigmoid/bank']).toBeLessThan(12 * Math.log1p(Math.exp(8)));
    expect(isSame(trainer.program.read([key])[key]!, bank)).toBe(true);
    // A step of slot 0 meets those of slot 1 alone, as if there were no others.
    trainer.program.write({ ...state, [key]: bank });
    const lane = laneTexts(trainer.program, settingsOf(3, 5), 0)!;
    const own = trainer.step(1, batch);
    const others = bank.slice();
    others.fill(0, 0, 1365 * width);
    trainer.program.write({ ...state, [key]: others });
    expect(trainer.step(1, batch).loss).toBe(own.loss);
    trainer.program.write({ [key]: new Float32Array(bank.length) });
    lane.leave();
    expect(isSame(trainer.program.read([key])[key]!, bank)).toBe(true);
    trainer.program.dispose();
    plain.program.dispose();
  });

  it('with an empty bank has the loss of the batch alone', () => {
    const [trainer, plain] = [createTrainer(settingsOf(2, 5)), createTrainer(tinySettings)];
    trainer.program.write(freshState(settingsOf(2, 5)));
    plain.program.write(freshState(tinySettings));
    for (let step = 1; step <= 3; step++) {
      const [one, other] = [trainer, plain].map((of) => of.step(step, noiseBatch(tinySettings, step)));
      expect(one!.objectives['sigmoid/bank']).toBe(0);
      expect(Math.abs(one!.loss - other!.loss)).toBeLessThan(1e-5 * other!.loss);
    }
    for (const { program } of [trainer, plain]) program.dispose();
  });
});

describe('a lane', () => {
  /** A state of rows that say who wrote them. */
  const stateOf = (row: (i: number) => number) => {
    let all = Float32Array.from({ length: bankRows * width }, (_, i) => row(Math.floor(i / width)));
    return {
      read: () => ({ [key]: all.slice() }),
      write: (values: Readonly<Record<string, ArrayLike<number>>>) => {
        all = Float32Array.from(values[key]!);
      },
      rows: (first: number, count: number) => Array.from({ length: count }, (_, i) => all[(first + i) * width]),
    };
  };
  const step = (...rows: number[]) =>
    Float32Array.from(rows.flatMap((row) => Array.from({ length: width }, () => row)));

  it('leaves the texts of its last steps, the newest first, and of rows before it what there is room for', () => {
    const state = stateOf((i) => (i >= 2048 && i < 2055 ? i - 2047 : i < 3 ? 50 : 0));
    const lane = laneTexts(state, settingsOf(2, 7), 1)!;
    expect(state.rows(2047, 9)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(state.rows(0, 4)).toEqual([50, 50, 50, 0]);
    lane.add(step(101, 102));
    lane.add(step(103, 104));
    lane.leave();
    expect(state.rows(2047, 9)).toEqual([0, 103, 104, 101, 102, 1, 2, 3, 0]);
    expect(state.rows(0, 4)).toEqual([50, 50, 50, 0]);
  });

  it('with larger batches leaves some texts of its last, and nothing of rows that nobody writes any more', () => {
    const state = stateOf(() => 9);
    const lane = laneTexts(state, settingsOf(3, 2), 2)!;
    lane.add(step(1, 2, 3));
    lane.add(step(4, 5, 6));
    lane.leave();
    expect(state.rows(2729, 4)).toEqual([9, 4, 5, 0]);
    expect(state.rows(4094, 2)).toEqual([0, 0]);
  });

  it('without a bank leaves nothing', () => {
    expect(
      laneTexts(
        stateOf(() => 0),
        tinySettings,
        0,
      ),
    ).toBe(null);
  });
});
