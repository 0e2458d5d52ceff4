import { describe, expect, it } from 'vitest';
import { readPickle } from '../../src/benchmarks/pickle.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { bytesOf, fixture } from './data-set.ts';

const protocols = ['0', '1', '2', '3', '4', '5'];

describe('pickles', () => {
  it('of plain data are read, of every protocol', () => {
    for (const protocol of protocols) {
      const read = readPickle(bytesOf(fixture.pickles[protocol]));
      expect('value' in read && JSON.parse(JSON.stringify(read.value)), protocol).toEqual(fixture.references);
    }
  });

  it('hold numbers, texts, tuples and shared values of every kind', () => {
    for (const protocol of protocols) {
      const read = readPickle(bytesOf(fixture.odd[protocol]));
      // Before protocol 3 Python writes bytes as a call.
      if (Number(protocol) < 3) {
        expect(read, protocol).toMatchObject({ fault: expect.stringContaining('asks for code to be run') });
        continue;
      }
      const value = (read as { value: Record<string, unknown> }).value;
      expect({ ...value }, protocol).toMatchObject({
        big: 2 ** 70,
        negative: -(2 ** 40),
        small: -3,
        float: 1.5,
        none: null,
        yes: true,
        no: false,
        tuple: [1, 2, 3, 4, []],
        pair: [1, 2],
        bytes: Buffer.from([0, 255]),
        long: 'x'.repeat(300),
        emoji: '😀 \u2028',
        shared: [['a'], ['a']],
        3: 'number',
        '': '',
      });
      expect(value.words).toHaveLength(300);
    }
  });

  it('of Python 2 are read, with its texts of bytes', () => {
    expect(readPickle(bytesOf(fixture.python2))).toEqual({
      value: [{ sent: "it's café\n", k: true, n: 7, l: 12, f: 0.5, u: 'café \u2028' }],
    });
    expect(readPickle(bytesOf(fixture.short))).toEqual({ value: ['cat', 'ét!', 5] });
  });

  it('that ask for code are refused, of every protocol, and nothing is executed', () => {
    for (const protocol of protocols)
      expect(readPickle(bytesOf(fixture.evil[protocol])), protocol).toEqual({
        fault: expect.stringMatching(
          /^the pickle asks for code to be run \((GLOBAL|STACK_GLOBAL) at byte \d+\); only plain data is read$/,
        ),
      });
    expect(readPickle(bytesOf(fixture.numpy_pickle))).toMatchObject({ fault: expect.stringContaining('GLOBAL') });
  });

  it('that are damaged anywhere give a sentence or a value, and no other error', () => {
    const whole = bytesOf(fixture.pickles['2']);
    const old = bytesOf(fixture.pickles['0']);
    for (const bytes of [whole, old]) {
      for (let end = 0; end < bytes.length; end++)
        expect(readPickle(bytes.subarray(0, end)), `${end}`).toHaveProperty('fault');
      const stream = randomStream(1, 'damage');
      for (let i = 0; i < 3000; i++) {
        const copy = Buffer.from(bytes);
        for (let k = 0; k < 3; k++) copy[stream.below(copy.length)] = stream.below(256);
        const read = readPickle(copy);
        expect('fault' in read ? typeof read.fault : 'value' in read).toBeTruthy();
      }
    }
  });

  it('with a number of a megabyte are refused, since reading it would take hours', () => {
    const number = Buffer.concat([
      Buffer.from([0x80, 2, 0x8b, 0, 0, 16, 0]),
      Buffer.alloc(2 ** 20, 1),
      Buffer.from('.'),
    ]);
    expect(readPickle(number)).toEqual({ fault: 'the pickle has a number of 1048576 bytes' });
  });

  it('can not reach prototypes by the names of their keys', () => {
    const read = readPickle(Buffer.from("(dS'__proto__'\n(dS'bad'\nI1\nss."));
    expect(Object.keys((read as { value: object }).value)).toEqual(['__proto__']);
    expect(({} as { bad?: number }).bad).toBeUndefined();
  });
});
