import { expect, test } from 'vitest';
import { Opened } from '../../src/runtime/opened.ts';

test('what was opened is closed in its order, and what could not be opened is not among it', async () => {
  const closed: string[] = [];
  const file = (name: string) => ({ name, close: async () => void closed.push(name) });
  const opened = new Opened();
  expect((await opened.of(Promise.resolve(file('one')))).name).toBe('one');
  await expect(opened.of(Promise.reject(new Error('no such file')))).rejects.toThrow('no such file');
  await opened.of(file('two'));
  expect(closed).toEqual([]);
  await opened.close();
  expect(closed).toEqual(['one', 'two']);
});
