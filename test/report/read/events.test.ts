import { expect, it } from 'vitest';
import { eventsOf, spansOf } from '../../../src/report/read/events.ts';
import type { Piece } from '../../../src/telemetry/curve.ts';

/** Steps a second apart. */
const piece = (from: number, to: number, seconds: number): Piece => ({
  name: `r000-step-${to}`,
  revision: 0,
  step: to,
  records: Array.from({ length: to - from }, (_, i) => ({
    step: from + 1 + i,
    time: (seconds + i) * 1000,
    values: { loss: 1 },
  })),
});

it('tells of steps that were trained again, since they lie in two pieces', () => {
  const events = eventsOf([piece(0, 10, 0), piece(5, 20, 30)], []);
  expect(events).toEqual([
    { kind: 'retry', time: 30_000, text: 'steps 6 to 10 were trained again after an interruption' },
  ]);
});

it('takes no minute for a gap where records are minutes apart, and a second for none', () => {
  const slow = {
    ...piece(0, 10, 0),
    records: piece(0, 10, 0).records.map((one) => ({ ...one, time: one.step * 90_000 })),
  };
  expect(spansOf([slow])).toEqual([[90_000, 900_000]]);
  expect(spansOf([piece(0, 10, 0), piece(10, 20, 100)])).toEqual([
    [0, 9000],
    [100_000, 109_000],
  ]);
  expect(spansOf([])).toEqual([]);
});

it('tells the newest where there are more than it has room for: how a long phase ended is among them', () => {
  const told = Array.from({ length: 1000 }, (_, time) => ({ kind: 'note' as const, time, text: `event ${time}` }));
  const events = eventsOf([], [], told);
  expect(events).toHaveLength(300);
  expect(events.at(-1)!.text).toBe('event 999');
});
