import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { readLines } from '../../src/runtime/bounded-lines.ts';

async function linesOf(chunks: readonly (string | Buffer)[], longest?: number): Promise<string[]> {
  const stream = new PassThrough();
  const lines: string[] = [];
  readLines(stream, (line) => lines.push(line), longest);
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await new Promise((resolve) => stream.once('end', resolve));
  return lines;
}

it('lines come as they end, however they are cut into chunks', async () => {
  const text = Buffer.from('one\ntwo\r\nGrüße 🙂\rbar 10 %\rbar 20 %\n\nlast');
  const expected = ['one', 'two', 'Grüße 🙂', 'bar 10 %', 'bar 20 %', '', 'last'];
  expect(await linesOf([text])).toEqual(expected);
  expect(await linesOf([...text].map((byte) => Buffer.from([byte])))).toEqual(expected);
  expect(await linesOf(['a\r', '\nb'])).toEqual(['a', 'b']);
  expect(await linesOf([])).toEqual([]);
});

it('bytes that are no text become marks of that', async () => {
  expect(await linesOf([Buffer.from([0x66, 0xff, 0xfe, 0x6f, 0x0a, 0xe2, 0x82])])).toEqual(['f��o', '�']);
});

it('a line that does not end takes no more memory than its first characters', async () => {
  const chunk = 'x'.repeat(100_000);
  const lines = await linesOf([...Array.from({ length: 50 }, () => chunk), '\nnext\n'], 1000);
  expect(lines).toEqual([`${'x'.repeat(1000)} ... (4999000 characters more)`, 'next']);
});
