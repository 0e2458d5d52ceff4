import { expect, test } from 'vitest';
import { areNear, bandOf, bands, type Outline } from '../../../src/data/near/near.ts';
import { NearCopies } from '../../../src/data/stats/near-copies.ts';
import { randomStream } from '../../../src/runtime/random.ts';

const stream = randomStream(11, 'near copies');
const word = () => Math.floor(stream.next() * 2 ** 32);

/** Pictures of which every third is one before it, with some bits and fields changed. */
function outlines(count: number): Outline[] {
  const all: Outline[] = [];
  for (let i = 0; i < count; i++) {
    const from = i > 20 && stream.below(3) === 0 ? all[stream.below(i)]! : null;
    const flip = (value: number) => (stream.below(2) ? value : (value ^ (1 << stream.below(32))) >>> 0);
    const by = stream.below(18);
    const thumb = from
      ? from.thumb.map((value) => value + by)
      : Uint8Array.from({ length: 304 }, () => stream.below(200));
    all.push({ high: from ? flip(from.high) : word(), low: from ? flip(from.low) : word(), thumb });
  }
  return all;
}

test('near copies are those that a plain loop over all kept pictures finds', () => {
  const all = outlines(5000);
  const table = new NearCopies();
  const kept: Outline[] = [];
  let copies = 0;
  const meet = (a: Outline, b: Outline) =>
    Array.from({ length: bands }, (_, band) => band).some(
      (band) => bandOf(a.high, a.low, band) === bandOf(b.high, b.low, band),
    );
  for (const outline of all) {
    table.add(outline);
    if (kept.some((other) => areNear(other, outline) && meet(other, outline))) copies++;
    else kept.push(outline);
  }
  expect(copies).toBeGreaterThan(500);
  expect([table.compared, table.copies, table.isFull]).toEqual([5000, copies, false]);
});

test('a table that is full compares no more', () => {
  const table = new NearCopies(10);
  for (const outline of outlines(30)) table.add(outline);
  expect([table.compared, table.isFull]).toEqual([10, true]);
});
