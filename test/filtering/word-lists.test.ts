import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { attributesOf, readerOf, wordLists } from '../../src/filtering/word-lists.ts';

const english = wordLists.parse(
  JSON.parse(readFileSync(new URL('../../infra/word-lists/gender-occupations.en.json', import.meta.url), 'utf8')),
);

test('texts say who is seen and what they do, by whole words and the longest phrase', () => {
  const reader = readerOf(english);
  expect(reader.groups).toEqual(['woman', 'man']);
  expect(reader.bounds.targets).toEqual([0.5, 0.5]);
  const of = (text: string) => {
    const { s, y } = attributesOf(text, reader);
    return [s, y.map((r) => reader.labels[r])];
  };
  expect(of('A WOMAN doctor, with her nurses')).toEqual([
    [1, 0],
    ['nurse', 'physician'],
  ]);
  expect(of("the man's lawyer and his wife")).toEqual([[0.5, 0.5], ['lawyer']]);
  expect(of('a police officer beside a security-guard')).toEqual([
    [null, null],
    ['guard', 'police officer'],
  ]);
  // Parts of words are no words: a mango, a germanium sample, cookies.
  expect(of('a mango, germanium and cookies')).toEqual([[null, null], []]);
  expect(attributesOf('a cat', reader)).toBe(attributesOf('', reader));
});

test('words of any script are found, also without blanks, right to left and with marks in either form', () => {
  const reader = readerOf(
    wordLists.parse({
      sensitive: {
        gender: {
          woman: { words: ['女性', 'امرأة', 'महिला', 'אישה', 'ผู้หญิง', 'žena', '여자가'], target: 0.4 },
          man: { words: ['男性', 'رجل', 'पुरुष', 'גבר', 'ผู้ชาย', 'muž', '남자가'], target: 0.6 },
        },
        age: { child: { words: ['child', '子供'] }, grown: { words: ['adult'] } },
      },
      labels: { doctor: ['医者', 'طبيب', 'डॉक्टर', 'רופא', 'หมอ', 'lékařka', '의사'] },
    }),
  );
  expect(reader.bounds).toEqual({ targets: [0.4, 0.6, 0.5, 0.5], labels: 1 });
  const woman = [1, 0, null, null];
  const man = [0, 1, null, null];
  for (const [text, s, y] of [
    ['病院で働く女性の医者', woman, [0]],
    ['子供と男性', [0, 1, 1, 0], []],
    ['امرأة تقف', woman, []],
    ['رجل طبيب', man, [0]],
    ['एक महिला डॉक्टर', woman, [0]],
    ['גבר רופא', man, [0]],
    ['ผู้หญิงเป็นหมอ', woman, [0]],
    ['ŽENA a lékařka'.normalize('NFD'), woman, [0]],
    ['여자가 의사', woman, [0]],
  ] as const)
    expect(attributesOf(text, reader), text).toEqual({ s, y });
});

test('a long text is read in linear time', () => {
  const reader = readerOf(english);
  const seconds = (unit: string, size: number) => {
    const text = unit.repeat(size / unit.length);
    const from = process.cpuUsage();
    attributesOf(text, reader);
    const { user, system } = process.cpuUsage(from);
    return (user + system) / 1e6;
  };
  for (const unit of ['police ', 'construction ', '医', '\u0301\u0316', 'a', "'"])
    expect(seconds(unit, 300_000), unit).toBeLessThan(2);
});

test('groups of one name in two attributes are told apart by those', () => {
  const { groups } = readerOf({
    sensitive: {
      gender: { women: { words: ['woman'] }, other: { words: ['they'] } },
      age: { other: { words: ['ageless'] }, old: { words: ['old'] } },
    },
    labels: {},
  });
  expect(groups).toEqual(['women', 'gender other', 'age other', 'old']);
});

test('targets that are not for every group, or not of together 1, and phrases without a letter are refused', () => {
  const lists = (targets: (number | undefined)[], word = 'x') =>
    wordLists.parse({
      sensitive: { age: Object.fromEntries(targets.map((target, i) => [`g${i}`, { words: [word], target }])) },
    });
  expect(() => readerOf(lists([0.5, undefined]))).toThrow(
    'sensitive.age has targets for 1 of 2 groups, of together 0.5; allowed: none, or one for each, of together 1',
  );
  expect(() => readerOf(lists([0.5, 0.4]))).toThrow('of together 0.9');
  expect(() => readerOf(lists([undefined], '--'))).toThrow(
    'sensitive.age.g0 has "--", which has no letter or digit in it',
  );
});
