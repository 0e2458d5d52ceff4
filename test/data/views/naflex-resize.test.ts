import { beforeAll, describe, expect, it } from 'vitest';
import { naflexPatches, naflexShape } from '../../../src/data/views/naflex-resize.ts';
import { squarePixels } from '../../../src/data/views/preprocess.ts';
import { resizeAntialiased } from '../../../src/data/views/resize-antialiased.ts';
import { tf } from '../../../src/runtime/tensorflow.ts';
import { type Fixture, openFixture } from '../../parity/reference.ts';

/** What the image processors of transformers make of small pictures: fixtures/make_preprocessed.py. */
let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture(new URL('fixtures/preprocessed.safetensors', import.meta.url));
});
const picture = (i: number) => {
  const [height, width] = fixture.shape(`picture/${i}`) as [number, number];
  return { width, height, data: fixture.bytes(`picture/${i}`) };
};
const pictures = [0, 1, 2, 3, 4, 5];

describe('antialiased resizing', () => {
  it.each(pictures)('gives the bytes of SiglipImageProcessor, picture %i', (i) => {
    const [height, width] = fixture.shape(`square/${i}`) as [number, number];
    const out = new Uint8Array(width * height * 3 + 5);
    resizeAntialiased(picture(i), width, height, out, 5);
    expect(out.subarray(5)).toEqual(fixture.bytes(`square/${i}`));
  });
});

describe('the square of a fixed-resolution tower', () => {
  it('is that of transformers or that of big_vision, which differ when an image shrinks', () => {
    const image = picture(0);
    expect(squarePixels(image, 18, 'antialias')).toEqual(fixture.bytes('square/0'));
    const sparse = squarePixels(image, 18, 'big_vision');
    expect(sparse).not.toEqual(fixture.bytes('square/0'));
    const plain = tf.image.resizeBilinear(
      tf.tensor3d(Float32Array.from(image.data), [image.height, image.width, 3]),
      [18, 18],
      false,
      true,
    );
    expect(sparse).toEqual(Uint8Array.from(plain.dataSync()));
  });
});

describe('NaFlex preprocessing', () => {
  it('chooses the size that transformers chooses, for 600 images, patch sizes and lengths', () => {
    const [count] = fixture.shape('sizes') as [number];
    const sizes = fixture.ints('sizes');
    for (let i = 0; i < count; i++) {
      const [height, width, patch, length, ...target] = sizes.subarray(6 * i, 6 * i + 6) as unknown as number[];
      const shape = naflexShape(height!, width!, patch!, length!);
      expect(
        shape.map((side) => side * patch!),
        `${height} x ${width}, at most ${length} patches of ${patch}`,
      ).toEqual([...target]);
    }
  });

  it.each(pictures)('gives the patches, the mask and the shape of Siglip2ImageProcessor, picture %i', (i) => {
    const { patches, mask, spatialShape } = naflexPatches(picture(i), 4, 20);
    expect(spatialShape).toEqual([...fixture.ints(`shape/${i}`)]);
    expect([...mask]).toEqual([...fixture.ints(`mask/${i}`)]);
    expect(patches).toEqual(fixture.bytes(`patches/${i}`));
  });
});
