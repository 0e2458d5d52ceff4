import { describe, expect, it } from 'vitest';
import { exampleBytes, rowsOfPiece } from '../../src/data/batches/row-bytes.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { arrayProblem, hostBytes } from '../../src/train/host-bytes.ts';
import { hostSettings } from '../bench/shapes.ts';
import { tinySettings } from './settings.ts';

const [views, acid] = [hostSettings('views'), hostSettings('acid')];
const gigabyte = 1e9;

/** B/16 as released, in whose space embeddings have 768 numbers. */
const wide = (settings: PhaseSettings): PhaseSettings => {
  const { model, curation } = settings;
  const larger = { ...model, vision: { ...model.vision, width: 768 }, text: { ...model.text, width: 768 } };
  const teacher = curation?.teacher && { ...curation.teacher, model: larger };
  return { ...settings, model: larger, ...(curation && { curation: { ...curation, ...(teacher && { teacher }) } }) };
};

describe('what batches take of the host', () => {
  it('is the bytes of their arrays, counted by hand', () => {
    const picture = 3 * 256 ** 2;
    // The picture, its global view, eight local ones of 96 pixels, 16 tokens and the numbers of the masked patches.
    const { count } = views.batches.parts!.maskedPatches!;
    expect(exampleBytes(views.batches, null)).toBe(2 * picture + 8 * 3 * 96 ** 2 + 4 * 16 + 4 * count);
    const naflex = { ...tinySettings.batches, naflex: { lengths: [4, 9], halveFrom: 9, patch: 4 } };
    expect(exampleBytes(naflex, 9)).toBe(9 * 48 + 9 * 4 + 8 + 5 * 4);
    expect(rowsOfPiece(views.batches, { count: 32_768, length: null })).toBe(109);
    expect(rowsOfPiece(tinySettings.batches, { count: 6, length: null })).toBe(6);
  });

  it('at the size of the paper stays below 4 GB for 32,768 pictures with views, and below 6 GB for super-batches of 65,536', () => {
    expect(hostBytes(wide(views)).memory).toBeLessThan(4 * gigabyte);
    expect(hostBytes(wide(acid)).memory).toBeLessThan(6 * gigabyte);
    // What is read twice lies on the disk: the batch, and what of the next one is made meanwhile.
    expect(hostBytes(views).disk).toBeGreaterThan(32_768 * exampleBytes(views.batches, null));
    expect(hostBytes(views).disk).toBeLessThan(30 * gigabyte);
    expect(hostBytes(tinySettings).disk).toBe(0);
  });

  it('does not grow with the batch, but for its embeddings', () => {
    const twice = { ...views, accumulate: 2 * views.accumulate, batches: { ...views.batches, batch: 65_536 } };
    expect(hostBytes(twice).memory - hostBytes(views).memory).toBe(4 * 4 * 128 * 32_768);
    const { curation: _, ...once } = { ...views, objectives: { localToGlobal: views.objectives.localToGlobal! } };
    expect(hostBytes(once)).toMatchObject({ disk: 0 });
  });
});

describe('what a loader takes', () => {
  it('has decoded pictures of a small set, and none of one that is larger than what is kept', () => {
    const loader = (examples?: number) => hostBytes(tinySettings, examples).parts.loader;
    expect(loader(320) - loader(0)).toBe(320 * (3 * 256 ** 2 + 4096));
    expect(loader(2000) - loader(0)).toBe(256 * 2 ** 20);
    expect(loader(100e6)).toBe(loader(0));
    // Where nothing is known of the data the most is counted.
    expect(loader()).toBe(loader(2000));
  });

  it('grows with its threads by what was measured of one', () => {
    const loader = (threads: number) => hostBytes(tinySettings, 0, threads).parts.loader;
    expect(loader(8) - loader(4)).toBe(4 * 70e6);
    expect(loader(2) - loader(1)).toBe(2 * 70e6);
  });
});

describe('an array that would be too large', () => {
  it('is refused in one sentence that names enough micro-batches, and with them is not', () => {
    const whole = { ...views, accumulate: 1 };
    expect(arrayProblem(whole)).toBe(
      'phase pretrain would feed a step an array of 7.2 GB (at most 1.1 GB); "accumulate": 8 would do',
    );
    expect(arrayProblem({ ...whole, accumulate: 8 })).toBeNull();
    expect(arrayProblem({ ...whole, accumulate: 4 })).toMatch(/an array of 1.8 GB/);
    expect(arrayProblem(views)).toBeNull();
    expect(arrayProblem(acid)).toBeNull();
  });

  it('of embeddings is a matter of the batch alone', () => {
    const large = { ...wide(views), batches: { ...views.batches, batch: 2 ** 20 }, accumulate: 2 ** 14 };
    expect(arrayProblem(large)).toBe(
      'phase pretrain would feed a step an array of 3.2 GB (at most 1.1 GB); only a smaller batch would do',
    );
  });
});
