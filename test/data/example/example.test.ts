import { describe, expect, it } from 'vitest';
import { CorruptExample } from '../../../src/data/example/corrupt-example.ts';
import { checkSizes, parseMeta } from '../../../src/data/example/example.ts';

const parse = (meta: unknown) => parseMeta(Buffer.from(typeof meta === 'string' ? meta : JSON.stringify(meta)), 'name');
const captions = { en: ['a'] };

describe('the JSON member of an example', () => {
  it('has captions by language, blank ones left out, and takes its name for key and concept', () => {
    expect(parse({ captions: { en: ['dog', ' ', null, 'pet'], de: [], fr: [''] }, extra: [1] })).toEqual({
      key: 'name',
      concept: 'name',
      captions: { en: ['dog', 'pet'] },
    });
    expect(parse('{"captions": {"__proto__": ["dog"], "en": ["x"]}}').captions.en).toEqual(['x']);
    expect(parse('\ufeff{"captions": {"en": ["x"]}}').captions).toEqual({ en: ['x'] });
  });

  it('may say numbers where texts are meant, as labels of data sets are', () => {
    const meta = { captions: { en: [207] }, concept: 207, key: 7, source: 0, style: -1.5, hexcode: 3 };
    expect(parse(meta)).toEqual({
      captions: { en: ['207'] },
      ...{ concept: '207', key: '7', source: '0', style: '-1.5', hexcode: '3' },
    });
    expect(parse({ captions, concept: 0 }).concept).toBe(parse({ captions, concept: '0' }).concept);
    const nothing = { concept: null, key: null, source: null, style: null, hexcode: null, regions: null };
    expect(parse({ captions, ...nothing })).toEqual({ captions, key: 'name', concept: 'name' });
  });

  it.each([
    [{ captions, concept: ['x'] }, 'concept is not a text: a list'],
    [{ captions, concept: { id: 1 } }, 'concept is not a text: an object'],
    [{ captions, key: true }, 'key is not a text: true'],
    [{ captions, source: ['x'] }, 'source is not a text: a list'],
    [
      '{"captions": {"en": ["a"]}, "concept": 12345678901234567890}',
      /^concept is not a text: 1234567890123456[0-9]+, write it in quotes$/,
    ],
    ['{"captions": {"en": ["a"]}, "key": 1e999}', 'key is not a text: Infinity, write it in quotes'],
    [{ captions: { en: ['dog', ['cat']] } }, 'captions.en.1 is not a text: a list'],
    [{ captions: { en: 'dog' } }, 'captions.en is not a list of texts'],
    [{ captions: { ['\u001b'.repeat(30)]: 'dog' } }, 'captions.???????????????????? is not a list of texts'],
    [{ captions: [] }, 'the JSON member has no captions, such as {"captions": {"en": ["a dog"]}}'],
    [[], 'the JSON member has no captions, such as {"captions": {"en": ["a dog"]}}'],
    ['null', 'the JSON member has no captions, such as {"captions": {"en": ["a dog"]}}'],
    ['', 'the JSON member is empty'],
    ['\u00e9', 'the JSON member is not JSON'],
    [
      '{"captions": {"en": ["a"]}, "similarity": NaN}',
      'the JSON member has NaN, which is not JSON: behind "similarity", character 43; write null',
    ],
  ])('that is wrong is a fault that names the field: %j', (meta, message) => {
    expect(() => parse(meta)).toThrow(CorruptExample);
    expect(() => parse(meta)).toThrow(message instanceof RegExp ? message : new CorruptExample(message));
  });

  it('has to be UTF-8', () => {
    const latin = Buffer.from('{"captions": {"en": ["caf\xe9"]}}', 'latin1');
    expect(() => parseMeta(latin, 'name')).toThrow('the JSON member is not UTF-8: byte 25 is 0xe9');
    const wide = Buffer.from('{"captions": {"en": ["caf\xe9"]}}', 'utf16le');
    expect(() => parseMeta(wide, 'name')).toThrow('the JSON member is UTF-16: save it as UTF-8');
  });

  it('is told as deep as it is nested, and as large as it is', () => {
    const deep = `{"captions": {"en": ["a"]}, "concept": ${'['.repeat(400_000)}${']'.repeat(400_000)}}`;
    expect(() => parse(deep)).toThrow('concept is not a text: a list');
    const range = (size: number) => ({ offset: 0, size });
    expect(() => checkSizes({ name: 'a', image: range(1), meta: range(1024 ** 2 + 1) })).toThrow(
      'the JSON member is too large: 1048577 bytes, at most 1048576',
    );
    expect(() => checkSizes({ name: 'a', image: range(2 ** 28 + 1), meta: range(1) })).toThrow(
      'the image member is too large: 268435457 bytes, at most 268435456',
    );
  });
});
