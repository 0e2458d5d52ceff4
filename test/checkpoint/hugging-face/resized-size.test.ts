import { expect, it } from 'vitest';
import { resizedSize, type SizeRule } from '../../../src/checkpoint/hugging-face/resized-size.ts';

// Height and width before and after, of transformers 5.24's image_transforms.py.
it.each<[SizeRule, [[number, number], [number, number]][]]>([
  [
    { shortest_edge: 16 },
    [
      [
        [16, 16],
        [16, 16],
      ],
      [
        [24, 16],
        [24, 16],
      ],
      [
        [16, 24],
        [16, 24],
      ],
      [
        [37, 101],
        [16, 43],
      ],
      [
        [101, 37],
        [43, 16],
      ],
      [
        [333, 500],
        [16, 24],
      ],
      [
        [1, 9],
        [16, 144],
      ],
      [
        [640, 480],
        [21, 16],
      ],
    ],
  ],
  [
    { shortest_edge: 20, longest_edge: 33 },
    [
      [
        [16, 16],
        [20, 20],
      ],
      [
        [24, 16],
        [30, 20],
      ],
      [
        [16, 24],
        [20, 30],
      ],
      [
        [37, 101],
        [12, 33],
      ],
      [
        [101, 37],
        [33, 12],
      ],
      [
        [333, 500],
        [20, 30],
      ],
      [
        [1, 9],
        [4, 33],
      ],
      [
        [640, 480],
        [26, 20],
      ],
    ],
  ],
  [
    { shortest_edge: 16, longest_edge: 16 },
    [
      [
        [16, 16],
        [16, 16],
      ],
      [
        [24, 16],
        [16, 11],
      ],
      [
        [16, 24],
        [11, 16],
      ],
      [
        [37, 101],
        [6, 16],
      ],
      [
        [101, 37],
        [16, 6],
      ],
      [
        [333, 500],
        [11, 16],
      ],
      [
        [1, 9],
        [2, 16],
      ],
      [
        [640, 480],
        [16, 12],
      ],
    ],
  ],
  [
    { max_height: 16, max_width: 40 },
    [
      [
        [16, 16],
        [16, 16],
      ],
      [
        [24, 16],
        [16, 10],
      ],
      [
        [16, 24],
        [16, 24],
      ],
      [
        [37, 101],
        [14, 40],
      ],
      [
        [101, 37],
        [16, 5],
      ],
      [
        [333, 500],
        [16, 24],
      ],
      [
        [1, 9],
        [4, 40],
      ],
      [
        [640, 480],
        [16, 12],
      ],
    ],
  ],
])('an image is resized to the size that transformers makes of %j', (rule, sizes) => {
  for (const [[height, width], expected] of sizes)
    expect(resizedSize(rule, height, width), `${height} x ${width}`).toEqual(expected);
});

it('height and width are what they are', () => {
  expect(resizedSize({ height: 3, width: 5 }, 100, 7)).toEqual([3, 5]);
});
