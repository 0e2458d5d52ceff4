import { expect, test } from 'vitest';
import { Room } from '../../src/rounds/room.ts';

test('memory for pieces is the same for each, whatever their type, until one is larger than all before', () => {
  const room = new Room();
  const { buffer } = room.doubles(4);
  expect(buffer.byteLength).toBe(32);
  expect(room.floats(8).buffer).toBe(buffer);
  expect(room.bytes(5)).toHaveLength(5);
  expect(room.bytes(5).buffer).toBe(buffer);
  expect(room.floats(9).buffer).not.toBe(buffer);
  expect(room.floats(9)).toHaveLength(9);
});
