import { describe, expect, it } from 'vitest';
import { isMeant } from '../../src/model/parameter-parts.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import { towerSizes } from '../../src/model/sizes.ts';
import { rateMultiplier } from '../../src/recipe/trained.ts';

const { B } = towerSizes;
const names = parameterSpecs({
  vision: { ...B, patch: 16, resolution: 224 },
  text: { ...B, length: 64, vocabulary: 256_000 },
}).map(({ name }) => name);
const meant = (selector: string) => names.filter((name) => isMeant(selector, name));

describe('what a person means', () => {
  it('are towers, parts, blocks of one, names and patterns', () => {
    const blocks = 12 * 16;
    expect(meant('vision')).toHaveLength(2 + 1 + blocks + 2 + 11);
    expect(meant('text')).toHaveLength(1 + 1 + blocks + 2 + 2);
    expect(meant('mapHead').every((name) => name.startsWith('vision_model.head.'))).toBe(true);
    expect(meant('imageBlocks.0-7')).toHaveLength(8 * 16);
    // 1 is not 10, 11 as well.
    expect(meant('textBlocks.1')).toHaveLength(16);
    expect(meant('imageBlocks.12')).toEqual([]);
    expect(meant('logit_bias')).toEqual(['logit_bias']);
    expect(meant('logit_')).toEqual([]);
    expect(meant('*.mlp.*')).toHaveLength(2 * 12 * 4 + 4);
    expect(meant('*.bias').every((name) => name.endsWith('.bias'))).toBe(true);
    // A dot is a dot, and nothing that every object has is a part.
    expect(meant('logit.bias')).toEqual([]);
    expect(meant('constructor')).toEqual([]);
  });

  it('multiplies the rate by all that mean a parameter, whatever their order', () => {
    const rates = { text: 0.1, 'textBlocks.11': 3, '*.bias': 0.7 };
    const reversed = Object.fromEntries(Object.entries(rates).reverse());
    const name = 'text_model.encoder.layers.11.mlp.fc1.bias';
    expect(rateMultiplier({ multipliers: rates }, name)).toBeCloseTo(0.1 * 3 * 0.7, 12);
    expect(rateMultiplier({ multipliers: reversed }, name)).toBe(rateMultiplier({ multipliers: rates }, name));
    expect(rateMultiplier({ multipliers: rates }, 'logit_bias')).toBe(1);
  });
});
