import { describe, expect, it } from 'vitest';
import { readJsonText } from '../../src/runtime/json-text.ts';

const utf8 = (text: string) => Buffer.from(text);
const swapped = (bytes: Buffer) => Buffer.from(bytes).swap16();

describe('a JSON text', () => {
  it('is UTF-8, with a byte order mark or without', () => {
    for (const start of ['', '\ufeff', '  \n'])
      expect(readJsonText(utf8(`${start}{"a": ["café", "\\ufeff"]}`))).toEqual({ value: { a: ['café', '\ufeff'] } });
  });

  it.each([
    ['Latin-1', Buffer.from('{"a": "caf\xe9"}', 'latin1'), 'it is not UTF-8: byte 10 is 0xe9'],
    ['cut within a character', utf8('"é"').subarray(0, 2), 'it is not UTF-8: byte 1 is 0xc3'],
    ['UTF-16', Buffer.from('{"a": 1}', 'utf16le'), 'it is UTF-16: save it as UTF-8'],
    ['UTF-16 with its mark', Buffer.from('\ufeff{"a": 1}', 'utf16le'), 'it is UTF-16: save it as UTF-8'],
    ['UTF-16 the other way round', swapped(Buffer.from('\ufeff{"a": 1}', 'utf16le')), 'it is UTF-16: save it as UTF-8'],
    ['nothing', Buffer.alloc(0), 'it is empty'],
    ['spaces', utf8(' \n'), 'it is empty'],
    ['a word', utf8('no'), 'it is not JSON'],
    ['a mark in the middle', utf8('{"a": \ufeff1}'), 'it is not JSON'],
    [
      'a pointer of Git LFS',
      utf8('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n'),
      'it is a Git LFS pointer: git lfs pull fetches the file itself',
    ],
    ['a page', utf8('\n<!DOCTYPE html>\n<html>'), 'it is an HTML page, perhaps of a login or an error'],
    [
      'an answer of a store',
      utf8('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'),
      "it is a store's answer in XML: download the file again",
    ],
  ])('that is none is told by what it is: %s', (_, bytes, problem) => {
    expect(readJsonText(bytes)).toEqual({ problem });
  });

  it.each([
    ['{"similarity": NaN}', 'it has NaN, which is not JSON: behind "similarity", character 16; write null'],
    [
      '{"NaN": "Infinity", "x": -Infinity}',
      'it has -Infinity, which is not JSON: behind "x", character 27; write null',
    ],
    ['{"a\\"NaN": [1, Infinity]}', 'it has Infinity, which is not JSON: behind "a\\"NaN", character 16; write null'],
    ['[1, NaN]', 'it has NaN, which is not JSON: character 5; write null'],
    ['{"a": "NaN", "b": NaNs}', 'it is not JSON'],
    ['{"a": "NaN', 'it is not JSON'],
  ])('with what Python writes for no number says where it is: %s', (text, problem) => {
    expect(readJsonText(utf8(text))).toEqual({ problem });
  });

  it('that is none costs as much as it is long: a megabyte four times a quarter of one, and under half a second', () => {
    const cost = (text: string) => {
      const bytes = utf8(text);
      const times = [1, 2, 3].map(() => {
        const before = process.cpuUsage();
        expect(readJsonText(bytes).problem).toBe('it is not JSON');
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1000;
      });
      return Math.min(...times);
    };
    for (const [part, count] of [
      ['"\\"', 75_000],
      ['N', 250_000],
      ['[', 250_000],
      ['{"a":', 50_000],
    ] as const) {
      const whole = cost(part.repeat(4 * count));
      expect(whole, part).toBeLessThan(500);
      // Sixteen times, where each place is looked at from each; a few ms are no measure.
      expect(whole / Math.max(cost(part.repeat(count)), 5), part).toBeLessThan(9);
    }
  });
});
