import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pricedByDevice, pricesFromEnvironment } from '../../src/costs/prices.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'prices-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: unknown): string {
  const path = join(folder, 'prices.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('prices', () => {
  it('are unknown where nobody says them, and as variables say', () => {
    const none = { currency: null, hour: null, egress: null, writes: null, reads: null, storage: null };
    expect(pricesFromEnvironment('cpu', {})).toEqual(none);
    expect(pricesFromEnvironment('cpu', { SIGLIP2_PRICE: '' })).toEqual(none);
    const env = {
      SIGLIP2_PRICE: '1.5',
      SIGLIP2_PRICE_EGRESS: '0',
      SIGLIP2_PRICE_REQUESTS: '0.005,0.0004',
      SIGLIP2_PRICE_STORAGE: '0.023',
      SIGLIP2_PRICE_CURRENCY: 'EUR',
    };
    const all = { currency: 'EUR', hour: 1.5, egress: 0, writes: 0.005, reads: 0.0004, storage: 0.023 };
    expect(pricesFromEnvironment(null, env)).toEqual(all);
    expect(pricesFromEnvironment(null, { SIGLIP2_PRICE_REQUESTS: '0.01' })).toMatchObject({
      writes: 0.01,
      reads: 0.01,
    });
  });

  it('have that of an hour by the name of the device in a file, and variables win over it', () => {
    const prices = { currency: 'USD', hour: { 'NVIDIA H100 80GB HBM3': 2.5, cpu: 0.1 }, egress: 0.09, reads: 0.0004 };
    const env = { SIGLIP2_PRICES: file(prices) };
    expect(pricedByDevice(env)).toBe(true);
    expect(pricesFromEnvironment('NVIDIA H100 80GB HBM3', env)).toMatchObject({
      hour: 2.5,
      egress: 0.09,
      writes: null,
    });
    expect(pricesFromEnvironment('cpu', env).hour).toBe(0.1);
    // Not of another card, of no object's own, and of no device that is not known.
    for (const device of ['NVIDIA A10G', 'constructor', null])
      expect(pricesFromEnvironment(device, env).hour).toBeNull();
    expect(pricedByDevice({ ...env, SIGLIP2_PRICE: '7' })).toBe(false);
    expect(pricesFromEnvironment('cpu', { ...env, SIGLIP2_PRICE: '7' }).hour).toBe(7);
    expect(pricesFromEnvironment(null, { SIGLIP2_PRICES: file({ hour: 3 }) }).hour).toBe(3);
  });

  it('that are none are refused in a sentence', () => {
    for (const price of ['free', '-1', 'NaN', 'Infinity', ' '])
      expect(() => pricesFromEnvironment(null, { SIGLIP2_PRICE: price })).toThrow(
        `SIGLIP2_PRICE is ${JSON.stringify(price)}; allowed: what an hour of a device costs, a number such as 1.5, or nothing`,
      );
    expect(() => pricesFromEnvironment(null, { SIGLIP2_PRICE_REQUESTS: '1,2,3' })).toThrow(
      'SIGLIP2_PRICE_REQUESTS is "1,2,3"; allowed: what 1,000 writes or lists cost, and 1,000 reads, such as 0.005,0.0004',
    );
    expect(() => pricesFromEnvironment(null, { SIGLIP2_PRICE_CURRENCY: 'US dollars' })).toThrow(
      /^SIGLIP2_PRICE_CURRENCY is /,
    );
    const refused = (content: unknown) => () => pricesFromEnvironment(null, { SIGLIP2_PRICES: file(content) });
    expect(refused('{')).toThrow(/^SIGLIP2_PRICES names .*prices\.json, which can't be read: /);
    expect(refused({ hours: 3 })).toThrow(
      /where the whole is wrong: Unrecognized key: "hours"; allowed: JSON such as \{/,
    );
    expect(refused({ hour: { cpu: -1 } })).toThrow(/where hour/);
    expect(() => pricesFromEnvironment(null, { SIGLIP2_PRICES: join(folder, 'none') })).toThrow(
      /can't be read: ENOENT/,
    );
  });
});
