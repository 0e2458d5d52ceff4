import { expect, it } from 'vitest';
import { AlikeSoFar } from '../../../src/data/batches/alike.ts';
import { PixelRooms } from '../../../src/data/batches/pixel-rooms.ts';
import type { Pixels } from '../../../src/data/example/pixels.ts';

const picture = (data: Uint8Array): Pixels => ({ width: 1, height: data.length / 3, data });

it('memory is used again once it is given back, by the first picture that fits, and never by two at a time', () => {
  const rooms = new PixelRooms();
  const [small, large] = [picture(rooms.take(300)), picture(rooms.take(900))];
  expect(small.data.buffer).not.toBe(large.data.buffer);
  rooms.give(small);
  // It is too small for this one; given twice it is there once.
  rooms.give(small);
  const other = rooms.take(303);
  expect(new Set([small.data.buffer, large.data.buffer, other.buffer]).size).toBe(3);
  const again = [rooms.take(297), rooms.take(297)];
  expect(again[0]!.buffer).toBe(small.data.buffer);
  expect(again[0]).toHaveLength(297);
  expect(again[1]!.buffer).not.toBe(small.data.buffer);
});

it('memory of others, and of very large pictures, is nothing to be used again; of many small ones few are kept', () => {
  const rooms = new PixelRooms();
  const others = [picture(new Uint8Array(300)), picture(rooms.take(3 * 2 ** 21))];
  for (const one of others) rooms.give(one);
  const many = Array.from({ length: 40 }, (_, i) => picture(rooms.take(300 + 3 * i)));
  for (const one of many) rooms.give(one);
  const taken = Array.from({ length: 40 }, () => rooms.take(3).buffer);
  expect(taken).not.toContain(others[0]!.data.buffer);
  expect(taken).not.toContain(others[1]!.data.buffer);
  const kept = many.filter(({ data }) => taken.includes(data.buffer));
  expect(kept).toHaveLength(16);
  // Those with the most room.
  expect(kept.at(-1)).toBe(many.at(-1));
});

it('of pictures that are held against the first, each is let go once it is not looked at again', () => {
  const [a, same, other] = [
    picture(Uint8Array.of(1, 2, 3, 4, 5, 6)),
    picture(Uint8Array.of(1, 2, 3, 4, 5, 6)),
    picture(Uint8Array.of(9, 2, 3, 4, 5, 6)),
  ];
  const alike = new AlikeSoFar();
  const meta = { key: 'k', concept: 'c', captions: { en: ['a'] } };
  expect(alike.add(a, meta)).toEqual([]);
  expect(alike.add(a, meta)).toEqual([]);
  expect(alike.add(same, meta)).toEqual([same]);
  expect(alike.same().picture).not.toBeNull();
  const last = alike.add(other, meta);
  expect([last[0], last[1], last.length]).toEqual([a, other, 2]);
  expect(alike.same().picture).toBeNull();
  expect(alike.add(same, meta)).toEqual([same]);
});
