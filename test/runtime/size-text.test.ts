import { expect, test } from 'vitest';
import { size } from '../../src/runtime/size-text.ts';

test('bytes are told in a unit with a digit before the point', () => {
  expect([0, 999, 1000, 12_345, 999_949, 999_950, 1e6, 123_456_789, 1e9].map(size)).toEqual([
    ...['0 bytes', '999 bytes', '1.0 kB', '12.3 kB', '999.9 kB', '1.0 MB', '1.0 MB', '123.5 MB', '1.00 GB'],
  ]);
});
