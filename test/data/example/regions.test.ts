import { describe, expect, it } from 'vitest';
import { captionTexts } from '../../../src/data/example/caption-texts.ts';
import { CorruptExample } from '../../../src/data/example/corrupt-example.ts';
import { boxText, parseRegions, seenRegions } from '../../../src/data/example/regions.ts';

const box = [0.1, 0.2, 0.5, 0.6] as const;

describe('the regions of an example', () => {
  it('are captions with boxes in shares of the image', () => {
    expect(parseRegions(undefined)).toEqual([]);
    expect(parseRegions([{ caption: 'a dog', box: [0, 0, 1, 0.5], more: 1 }])).toEqual([
      { caption: 'a dog', box: [0, 0, 1, 0.5] },
    ]);
  });

  it.each([
    ['text', /regions is not a list/],
    [Array.from({ length: 1001 }, () => ({ caption: 'a', box })), /at most 1000/],
    [[null], /regions.0 has no caption/],
    [[{ caption: ' ', box }], /regions.0 has no caption/],
    [[{ caption: 'a' }], /regions.0.box/],
    [[{ caption: 'a', box: [0, 0, 1] }], /regions.0.box/],
    [[{ caption: 'a', box: [0.5, 0, 0.5, 1] }], /regions.0.box/],
    [[{ caption: 'a', box: [0, 0, 1, 1.1] }], /regions.0.box/],
    [[{ caption: 'a', box: [-0.1, 0, 1, 1] }], /regions.0.box/],
    [[{ caption: 'a', box: [0, 0, '1', 1] }], /regions.0.box/],
    [[{ caption: 'a', box: [0, 0, Number.NaN, 1] }], /regions.0.box/],
  ])('that are none are a fault of the example: %j', (value, message) => {
    expect(() => parseRegions(value)).toThrow(CorruptExample);
    expect(() => parseRegions(value)).toThrow(message);
  });

  it('lie elsewhere in a part of the image, and are left out when less than half is seen', () => {
    const image = { width: 200, height: 100 };
    const regions = [{ caption: 'a', box }];
    // The box is 10 to 50 down and 40 to 120 across.
    expect(seenRegions(regions, image, { x: 0, y: 0, width: 200, height: 100 })).toEqual(regions);
    const close = (numbers: number[]) => numbers.map((x) => expect.closeTo(x, 10));
    expect(seenRegions(regions, image, { x: 40, y: 10, width: 160, height: 80 })[0]!.box).toEqual(
      close([0, 0, 0.5, 0.5]),
    );
    expect(seenRegions(regions, image, { x: 70, y: 0, width: 100, height: 100 })[0]!.box).toEqual(
      close([0.1, 0, 0.5, 0.5]),
    );
    expect(seenRegions(regions, image, { x: 81, y: 0, width: 100, height: 100 })).toEqual([]);
  });

  it('are said in whole numbers of 0 to 500', () => {
    expect(boxText({ caption: 'a', box })).toBe('50 100 250 300');
    expect(boxText({ caption: 'a', box: [0, 0, 1, 0.9991] })).toBe('0 0 500 500');
  });

  it('are asked for by what they show and by where they are', () => {
    expect(captionTexts('two dogs', { caption: 'a dog', box: '1 2 3 4' }, 'both')).toEqual({
      captioning: { given: 'Cap:', text: 'Cap: two dogs' },
      referring: { given: 'ARef :', text: 'ARef : a dog : 1 2 3 4' },
      grounded: { given: 'GCap:', text: 'GCap: 1 2 3 4 : a dog' },
    });
    expect(captionTexts('x', { caption: 'a dog', box: '1 2 3 4' }, 'second').referring!.given).toBe('ARef : a dog :');
    expect(captionTexts('x', null, 'both')).toMatchObject({ referring: null, grounded: null });
  });
});
