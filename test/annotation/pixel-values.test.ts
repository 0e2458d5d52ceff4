import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pixelRules, pixelValues } from '../../src/annotation/pixel-values.ts';
import { expectations, fixture, sizes, worst } from './expected.ts';

const rulesOf = (kind: string) =>
  pixelRules(JSON.parse(readFileSync(fixture(`${kind}/preprocessor_config.json`), 'utf8')));

describe('the pixels of a detector', () => {
  it.each(sizes)('are those of transformers for a picture of %s', async (size) => {
    const { floats, picture } = await expectations();
    const image = await picture(size);
    for (const kind of ['owlv2', 'owlvit']) {
      const { values } = pixelValues(image, rulesOf(kind));
      // A byte is 1/255/0.27 = 0.0145 apart from the next: OWL-ViT's are equal, OWLv2's differ by the last bits of floats.
      expect(worst(values, await floats(`${kind}.${size}.pixel_values`)), kind).toBeLessThan(2e-5);
    }
  });

  it('have grey below a wide picture of OWLv2, and the share that it takes', () => {
    const rules = pixelRules({ image_processor_type: 'Owlv2ImageProcessor', size: 4, do_normalize: false });
    const white = { width: 4, height: 2, data: new Uint8Array(24).fill(255) };
    const { values, seen } = pixelValues(white, rules);
    expect([...values.subarray(0, 16)]).toEqual([...Array(8).fill(1), ...Array(8).fill(0.5)]);
    expect(seen).toEqual({ width: 1, height: 0.5 });
  });

  it('follow every form of the settings that transformers has written, and no others', () => {
    const first = { image_processor_type: 'OwlViTFeatureExtractor', size: [768, 700] };
    expect(pixelRules(first)).toMatchObject({ height: 768, width: 700, pad: false, kernel: 'bicubic' });
    expect(pixelRules({ feature_extractor_type: 'OwlViTFeatureExtractor', size: 32, resample: 2 })).toMatchObject({
      ...{ height: 32, width: 32, kernel: 'bilinear' },
    });
    expect(pixelRules({ image_processor_type: 'Owlv2ImageProcessorFast' })).toMatchObject({ height: 960, pad: true });
    expect(() => pixelRules({ image_processor_type: 'ViTImageProcessor' })).toThrow(
      'its image_processor_type is "ViTImageProcessor"; allowed: OwlViT... and Owlv2...',
    );
    const unsized = { image_processor_type: 'OwlViTImageProcessor', size: { shortest_edge: 768 } };
    expect(() => pixelRules(unsized)).toThrow('its size is no height and width of 1 to 4096 pixels');
    expect(() => pixelRules([])).toThrow('it is no JSON object');
  });
});
