import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/data/batches/types.ts';
import { curationSheetHtml } from '../../src/report/curation-sheet.ts';
import { choiceFigures, Extremes } from '../../src/train/curation-figures.ts';
import { inRows, whole } from '../data/batches/whole.ts';

/** A super-batch of pictures of 2 x 2 pixels; candidate i is all i. */
function superBatch(sources: readonly (string | null)[], first = 0): Batch {
  const count = sources.length;
  return {
    index: 3,
    images: Uint8Array.from({ length: count * 12 }, (_, i) => Math.floor(i / 12)),
    tokens: Int32Array.from({ length: count * 2 }, (_, i) => i),
    parts: {
      maskedPatches: Int32Array.from({ length: count * 3 }, (_, i) => 10 * Math.floor(i / 3)),
      teacherImages: new Float32Array(count * 4),
    },
    skipped: [],
    described: sources.map((source, i) => ({
      key: `e${first + i}`,
      text: `<text ${first + i}>`,
      source,
      language: i === 2 ? 'de' : 'en',
    })),
  };
}

describe('the rows that were chosen', () => {
  it('are those of every array, in order, without what was for the choice alone', async () => {
    const batch = await inRows(superBatch([null, null, null, null]), 4);
    const chosen = await whole(await batch.picked(Int32Array.of(1, 3), ['teacherImages']));
    expect([...chosen.images]).toEqual([...Array(12).fill(1), ...Array(12).fill(3)]);
    expect([...chosen.tokens]).toEqual([2, 3, 6, 7]);
    expect(chosen.parts).toEqual({ maskedPatches: Int32Array.of(10, 10, 10, 30, 30, 30) });
    expect(chosen.index).toBe(3);
  });
});

describe('the figures of a choice', () => {
  it('are mean scores of both sides, and the share of each source and language before and after', () => {
    const batch = superBatch(['web', 'web', 'noise', null]);
    const figures = choiceFigures({ picks: Int32Array.of(0, 3), own: Float32Array.of(4, -1, -3, 2) }, batch);
    expect(figures).toEqual({
      'curation/chosen': 3,
      'curation/rejected': -2,
      'source/web/candidates': 0.5,
      'source/noise/candidates': 0.25,
      'source/web/chosen': 0.5,
      'language/en/candidates': 0.75,
      'language/de/candidates': 0.25,
      'language/en/chosen': 1,
    });
  });
});

describe('a sheet', () => {
  it('shows the best and the worst of all super-batches since the last one, each example once, with text escaped', async () => {
    const extremes = new Extremes();
    for (let step = 0; step < 10; step++) {
      const own = Float32Array.from({ length: 8 }, (_, i) => 8 * step + i);
      const batch = await inRows(superBatch(Array(8).fill('web'), 8 * step), 8);
      await extremes.add({ picks: Int32Array.of(0, 1), own }, batch);
      // Once more in the next epoch, with a lower score.
      await extremes.add({ picks: Int32Array.of(2), own: own.map((score) => score - 0.5) }, batch);
    }
    const { most, least } = extremes.take();
    expect(most.map(({ key }) => key)).toEqual(Array.from({ length: 24 }, (_, i) => `e${79 - i}`));
    expect(most.slice(0, 2).map(({ score, chosen }) => [score, chosen])).toEqual([
      [79, false],
      [78, false],
    ]);
    expect(least.map(({ score }) => score)).toEqual(Array.from({ length: 24 }, (_, i) => i - 0.5));
    expect([...most[0]!.pixels]).toEqual(Array(12).fill(7));
    expect(extremes.take()).toEqual({ most: [], least: [] });
    const html = await curationSheetHtml({ title: 'acid & <more>', resolution: 2, most, least });
    expect(html).toContain('acid &amp; &lt;more&gt;');
    expect(html).not.toContain('<text');
    expect(html.match(/data:image\/png;base64,/g)).toHaveLength(48);
  });
});
