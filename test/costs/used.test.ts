import { describe, expect, it } from 'vitest';
import { money, spentText, usedAt } from '../../src/costs/money.ts';
import type { Prices } from '../../src/costs/prices.ts';
import { addUsed, costOf, givenUp, isUsed, limitedCostOf, nothingUsed } from '../../src/costs/used.ts';

const none: Prices = { currency: null, hour: null, egress: null, writes: null, reads: null, storage: null };
const dollars = { ...none, currency: 'USD', hour: 3.6, egress: 0.09, writes: 0.005, reads: 0.0004 };
const store = { reads: 20_000, writes: 2000, readBytes: 3e9, writtenBytes: 5e9 };

describe('what was used', () => {
  it('costs its hours at the price of an hour, its requests by the thousand, and its GB read', () => {
    // 3.60 an hour is 0.001 a second: 1,000 s and 500 s; 2 x 0.005 and 20 x 0.0004; 3 x 0.09.
    const used = usedAt({ trained: 1_000_000, preparing: 500_000 }, store, dollars);
    expect(used.cost.trained).toBeCloseTo(1, 12);
    expect(used.cost.preparing).toBeCloseTo(0.5, 12);
    expect(used.cost.requests).toBeCloseTo(0.018, 12);
    expect(used.cost.egress).toBeCloseTo(0.27, 12);
    expect(costOf(used)).toBeCloseTo(1.788, 12);
    expect(spentText(used)).toBe('1.79 USD (trained 1.00, preparing 0.500, requests 0.0180, egress 0.270)');
  });

  it('adds up what workers of unequal prices used, and says which time had no price', () => {
    const cheap = usedAt({ trained: 3_600_000 }, store, { ...dollars, hour: 1 });
    const dear = usedAt({ trained: 1_800_000, evaluating: 360_000 }, store, { ...dollars, hour: 10 });
    const unknown = usedAt({ repeated: 7_200_000 }, store, { ...none });
    const all = [cheap, dear, unknown].reduce(addUsed, nothingUsed);
    expect(all.ms).toEqual({ trained: 5_400_000, evaluating: 360_000, repeated: 7_200_000 });
    expect(all.cost.trained).toBeCloseTo(1 + 5, 12);
    expect(all.store.reads).toBe(60_000);
    expect(all.unpricedMs).toBe(7_200_000);
    // What is evaluated holds no phase.
    expect(costOf(all) - limitedCostOf(all)).toBeCloseTo(1, 12);
    expect(spentText(all)).toMatch(/, and 2\.00 h of a device at no known price$/);
    expect(spentText(unknown)).toBeNull();
  });

  it('does not add euros to dollars', () => {
    const all = addUsed(
      usedAt({ trained: 3_600_000 }, store, dollars),
      usedAt({ trained: 1000 }, store, { ...dollars, currency: 'EUR' }),
    );
    expect(all).toMatchObject({ currency: 'USD', unpricedMs: 1000, ms: { trained: 3_601_000 } });
    expect(all.cost.trained).toBeCloseTo(3.6, 12);
  });

  it('calls repeated what is given up of it, and loses nothing', () => {
    const used = usedAt({ trained: 1000, repeated: 100 }, store, dollars);
    const after = givenUp(used, 0.25);
    expect(after.ms).toEqual({ trained: 750, repeated: 350 });
    expect(costOf(after)).toBeCloseTo(costOf(used), 15);
    expect(givenUp(used, 7).ms).toEqual({ trained: 0, repeated: 1100 });
  });

  it('is told from what anybody may have sent', () => {
    expect(isUsed(JSON.parse(JSON.stringify(usedAt({ trained: 1 }, store, dollars))))).toBe(true);
    for (const wrong of [null, 3, {}, { ...nothingUsed, ms: { trained: 'x' } }, { ...nothingUsed, unpricedMs: null }])
      expect(isUsed(wrong)).toBe(false);
    expect(isUsed({ ...nothingUsed, currency: 'x'.repeat(1000) })).toBe(false);
  });
});

it('money has two digits, and three figures where it is little', () => {
  expect([0, 1.005, 12.345, 0.5, 0.0123, 0.000_045_6].map((amount) => money(amount))).toEqual([
    '0.00',
    '1.00',
    '12.35',
    '0.500',
    '0.0123',
    '0.0000456',
  ]);
});
