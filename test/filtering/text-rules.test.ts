import { expect, test } from 'vitest';
import { charactersOf } from '../../src/filtering/characters.ts';
import { type TextRules, textRules, textVerdict } from '../../src/filtering/text-rules.ts';
import { wordsOf } from '../../src/filtering/words.ts';
import { captions } from './texts.ts';

const strict: TextRules = textRules.parse({
  characters: { min: 6, max: 300 },
  words: { min: 3, max: 256 },
  minLetterShare: 0.7,
  maxDigitShare: 0.2,
  maxSymbolShare: 0.2,
  maxRepeatedWordShare: 0.3,
  maxSameInRow: 3,
  longestWord: 40,
  addresses: 'anywhere',
  fileNames: 'anywhere',
  markup: true,
  broken: true,
  upperCase: true,
  boilerplate: { whole: ['Stock Photo'], anywhere: ['click to enlarge', 'privacy policy', 'クリックして拡大'] },
});

test('rules of every kind together leave a caption in each of 32 scripts', () => {
  expect(Object.keys(captions)).toHaveLength(32);
  for (const [script, text] of Object.entries(captions)) {
    const written = script === 'Cans_Aboriginal' ? 'Canadian_Aboriginal' : script;
    expect(text, script).toMatch(new RegExp(`\\p{Script=${written}}`, 'u'));
    for (const form of ['NFC', 'NFD'] as const)
      expect(textVerdict(text.normalize(form), strict), `${script} ${form}`).toBeUndefined();
  }
});

test('each rule finds what it is for in every script', () => {
  for (const [script, text] of Object.entries(captions)) {
    const verdict = (rules: TextRules, of = text) => textVerdict(of, rules);
    const whole = charactersOf(text).length;
    const words = [...wordsOf(text)].length;
    expect(words, script).toBeGreaterThanOrEqual(3);
    expect(verdict({ characters: { min: whole + 1 } }), script).toBe(`it has fewer than ${whole + 1} characters`);
    expect(verdict({ characters: { max: whole } }), script).toBeUndefined();
    expect(verdict({ words: { min: words + 1 } }), script).toBe(`it has fewer than ${words + 1} words`);
    expect(verdict({ words: { max: words - 1 } }), script).toBe(`it has more than ${words - 1} words`);
    const repeated = `${text} ${text} ${text}`;
    expect(verdict({ maxRepeatedWordShare: 0.6 }, repeated), script).toBe(
      'words that came before are more than 0.6 of its words',
    );
    expect(verdict({ maxSymbolShare: 0.5 }, `${text}${'!?'.repeat(whole)}`), script).toContain('punctuation and signs');
    expect(verdict({ maxDigitShare: 0.5 }, `${text}${'12'.repeat(whole)}`), script).toContain('digits are more');
    expect(verdict({ minLetterShare: 0.5 }, `${text}${'🐈'.repeat(2 * whole)}`), script).toContain('letters are less');
    expect(verdict({ addresses: 'anywhere' }, `${text} https://example.com/${text}`), script).toContain('an address');
    expect(verdict({ fileNames: 'anywhere' }, `${text} IMG_1234.JPG`), script).toContain('name of a file');
    expect(verdict({ broken: true }, `${text}\uFFFD`), script).toContain('wrong decoder');
    expect(verdict({ markup: true }, `<b>${text}</b>`), script).toContain('markup');
    expect(verdict({ boilerplate: { whole: [text] } }, ` ${text.toUpperCase()}\n`), script).toBe('it is boilerplate');
    // The capitals of Unicode are the plain letters of Cherokee.
    const hasCase = ['Latin', 'Cyrillic', 'Greek', 'Armenian', 'Georgian'].includes(script);
    expect(verdict({ upperCase: true }, text.toUpperCase()), script).toBe(
      hasCase ? 'it is all in capitals' : undefined,
    );
    expect(verdict({ upperCase: true }), script).toBeUndefined();
  }
});

test.each([
  ['IMG_1234.JPG', true],
  ['DSC00012', true],
  ['P1010023.jpg', true],
  ['PXL_20231104_123456789.jpg', true],
  ['Screenshot 2021-03-04 at 10.11.12', true],
  ['WhatsApp Image 2020-01-02 at 12.00.01.jpeg', true],
  ['image (3)', true],
  ['untitled-2-copy.png', true],
  ['2019-08-07 10.15.11', true],
  ['8f14e45fceea167a', true],
  ['my-cat-on-a-table.webp', true],
  ['a cat on a table', false],
  ['photo of a dog', false],
  ['Image', false],
  ['A photo, 2019', false],
  ['Boeing 747', false],
  ['decade', false],
  ['Paris', false],
])('%s is the name of a file: %s', (text, isName) => {
  expect(textVerdict(text, { fileNames: 'whole' })).toBe(isName ? 'it is the name of a file' : undefined);
});

test.each([
  ['https://example.com/a?b=c', 'it is an address'],
  ['photos.example.com/a.html', 'it is an address'],
  ['jane@example.com', 'it is an address'],
  ['a cat, see www.example.com', undefined],
  ['St. Moritz', undefined],
  ['1.5 km', undefined],
])('%s as a whole address: %s', (text, verdict) => {
  expect(textVerdict(text, { addresses: 'whole' })).toBe(verdict);
  if (verdict) expect(textVerdict(`${text} and a cat`, { addresses: 'whole' })).toBeUndefined();
});

test('names, abbreviations, emoji families and other letters are no capitals, runs or symbols that were not there', () => {
  expect(textVerdict('NASA', { upperCase: true })).toBeUndefined();
  expect(textVerdict('USB 3.0', { upperCase: true })).toBeUndefined();
  expect(textVerdict('BUY SHOES', { upperCase: true })).toBe('it is all in capitals');
  expect(textVerdict('東京 TV', { upperCase: true })).toBeUndefined();
  expect(textVerdict('coool', { maxSameInRow: 3 })).toBeUndefined();
  expect(textVerdict('cooOOl', { maxSameInRow: 3 })).toBe('it has more than 3 equal characters in a row');
  expect(textVerdict('10000000', { maxSameInRow: 3 })).toBeUndefined();
  // One family of four persons and joiners, and a flag of two letters.
  expect(charactersOf('👨‍👩‍👧‍👦').length).toBe(4);
  expect(charactersOf('e\u0301\u0316').length).toBe(1);
  expect(textVerdict('5 < 6 and 7 > 2, R&D', { markup: true })).toBeUndefined();
  for (const text of ['a &amp; b', '{{title}}', 'please enable JavaScript', '<br/>', '<!-- a'])
    expect(textVerdict(text, { markup: true }), text).toBe('it has markup in it');
  for (const text of ['\ud800', 'a\u0000b', '\ue000', '\ufdd0', 'caf\ufffd'])
    expect(textVerdict(text, { broken: true }), JSON.stringify(text)).toBe('it has characters of a wrong decoder');
  expect(textVerdict('two\nlines\tand tabs', { broken: true })).toBeUndefined();
});

test('languages are compared letter by letter, and texts without a tag stay', () => {
  const rules = textRules.parse({ languages: ['en', 'zh-CN'] });
  expect(textVerdict('a cat', rules, 'en')).toBeUndefined();
  expect(textVerdict('一只猫', rules, 'zh')).toBe('its language is not among languages');
  expect(textVerdict('a cat', rules)).toBeUndefined();
});

test('no rules leave everything, and an empty text falls by a length alone', () => {
  for (const text of ['', ' ', 'IMG_1.JPG', '\u0000']) expect(textVerdict(text, {})).toBeUndefined();
  expect(textVerdict(' \n', { characters: { min: 1 } })).toBe('it has fewer than 1 characters');
  expect(textVerdict('', { minLetterShare: 1, maxSymbolShare: 0, maxRepeatedWordShare: 0 })).toBeUndefined();
});

test('a long text takes time by its length, whatever it repeats, and a megabyte at most seconds', () => {
  const { characters: _, words: __, ...rules } = strict;
  const open: TextRules = {
    ...rules,
    ...{ minLetterShare: 0, maxDigitShare: 1, maxSymbolShare: 1, maxSameInRow: 1e9, longestWord: 1e9 },
    ...{ maxRepeatedWordShare: 1, broken: undefined },
  };
  const seconds = (unit: string, size = 200_000) => {
    const text = unit.repeat(Math.ceil(size / unit.length));
    const from = process.cpuUsage();
    textVerdict(text, open);
    const { user, system } = process.cpuUsage(from);
    return (user + system) / 1e6;
  };
  const hard = [
    'a',
    'A ',
    'A1 ',
    '.',
    'a.',
    'a@',
    'www.',
    '<a',
    '&a',
    '-',
    "a'",
    '\u0301',
    '\ud800',
    '1',
    ' ',
    'img 1',
  ];
  for (const unit of [...hard, ...['🐈', '医', 'แมวสีขาว', 'កុក', 'קָטָן ', 'the cat ']])
    expect(seconds(unit), JSON.stringify(unit)).toBeLessThan(2);
  expect(seconds('แมวสีขาว', 1_000_000)).toBeLessThan(6);
});
