import { describe, expect, it } from 'vitest';
import { bleu, type Captioned } from '../../src/metrics/bleu.ts';
import { captionWords } from '../../src/metrics/caption-words.ts';
import { Cider } from '../../src/metrics/cider.ts';
import { figuresOf } from '../../src/metrics/figure.ts';
import { rougeL } from '../../src/metrics/rouge.ts';
import { expectFigures, load, valueIn } from './fixtures/load.ts';

const fixture = load('captions') as {
  lines: { text: string; words: string[] }[];
  said: string[];
  references: string[][];
  pycocoevalcap: Record<string, number>;
  nltk: Record<string, number>;
  aac: Record<string, number>;
  ciderOfEach: number[];
  ciderOfTwo: number;
};
const wordsOf = (text: string) => text.split(' ').filter((word) => word !== '');
const captioned: Captioned[] = fixture.said.map((text, i) => ({
  name: `${i}`,
  words: wordsOf(text),
  references: fixture.references[i]!.map(wordsOf),
}));
const cider = (all: readonly Captioned[]) => {
  const found = new Cider();
  for (const one of all) found.add(one);
  return found;
};
const one = (words: string, ...references: string[]): Captioned => ({
  name: 'one',
  words: wordsOf(words),
  references: references.map(wordsOf),
});

describe('words of captions', () => {
  /** A smiley, and a sentence that ends in "I": captions are not made of these. */
  const elsewhere = [':-) smile a.m. and vs. the other a.b.c', 'a man and I. The end'];

  it("are those of Stanford's PTBTokenizer in all but two lines of contractions, marks, numbers and names", () => {
    const differ = fixture.lines.filter(({ text, words }) => captionWords(text).join(' ') !== words.join(' '));
    expect(differ.map(({ text }) => text)).toEqual(elsewhere);
    expect(fixture.lines.length).toBeGreaterThan(35);
  });

  it('of a text that a stranger made long take time in proportion to its length', () => {
    const started = process.cpuUsage();
    const marks = [
      'a',
      '%',
      'a.',
      "n't",
      'a@',
      "a'",
      '-',
      'ab.',
      '1.',
      'http://',
      "'",
      '<a',
      'x&',
      '\u0301',
      '_',
      '0-a/',
    ];
    for (const mark of marks) {
      const length = captionWords(mark.repeat(20_000)).join('').length;
      expect(length, mark).toBeLessThanOrEqual(20_000 * mark.length);
    }
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1e6).toBeLessThan(5);
  });
});

describe('captions', () => {
  it('have the BLEU of pycocoevalcap, aac-metrics and NLTK, and the ROUGE-L and CIDEr-D of the first two', () => {
    const { CIDEr, 'ROUGE-L': rouge, ...ofBleu } = fixture.pycocoevalcap;
    expectFigures(figuresOf(bleu(), captioned), { pycocoevalcap: ofBleu });
    const withWords = captioned.filter(({ words }) => words.length >= 4);
    expectFigures(figuresOf(bleu(), withWords), { nltk: fixture.nltk });
    const all = [figuresOf(bleu(), withWords), figuresOf(rougeL(), withWords), cider(withWords).figures()].flat();
    expectFigures(all, { 'aac-metrics': fixture.aac });
    expect(Object.keys(fixture.aac)).toHaveLength(6);
    expectFigures(figuresOf(rougeL(), captioned), { pycocoevalcap: { 'ROUGE-L': rouge! } });
    expectFigures(cider(captioned).figures(), { pycocoevalcap: { CIDEr: CIDEr! } });
  });

  it('have a CIDEr-D each, which depends on the captions of the others', () => {
    const each = cider(captioned).values();
    for (const [i, value] of fixture.ciderOfEach.entries()) expect(each[i]).toBeCloseTo(value, 6);
    expect(valueIn(cider(captioned.slice(0, 2)).figures(), 'CIDEr')).toBeCloseTo(fixture.ciderOfTwo, 6);
    expect(valueIn(cider(captioned.slice(0, 1)).figures(), 'CIDEr')).toBe(0);
  });

  it('that nobody described are counted apart, and no word is no hit', () => {
    const all = [one('a cat'), one('', 'a dog'), one('a b c d e', 'a b c d e')];
    const found = figuresOf(bleu(), all);
    expect(valueIn(found, 'without_references')).toBe(1);
    expect(valueIn(figuresOf(rougeL(), all), 'ROUGE-L')).toBeCloseTo(0.5, 12);
    expect(
      cider(all)
        .figures()
        .map(({ of }) => of),
    ).toEqual([2, 3]);
    expect(figuresOf(bleu(), []).map(({ value }) => value)).toEqual([null, null, null, null]);
    expect(valueIn(cider([]).figures(), 'CIDEr')).toBe(null);
  });

  it('of an oracle have a BLEU of 1', () => {
    const found = figuresOf(bleu(), [one('a b c d e', 'x', 'a b c d e')]);
    for (const { value } of found) expect(value).toBeCloseTo(1, 6);
  });
});
