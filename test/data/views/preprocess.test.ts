import { beforeAll, describe, expect, it } from 'vitest';
import { preprocessorFile } from '../../../src/checkpoint/hugging-face/config.ts';
import { ownProcessing } from '../../../src/checkpoint/hugging-face/read-processor.ts';
import { squareOf } from '../../../src/commands/picture.ts';
import { squareArrays } from '../../../src/data/views/image-arrays.ts';
import { resizeSquare, squarePixels } from '../../../src/data/views/preprocess.ts';
import { resizeBilinear } from '../../../src/data/views/resize.ts';
import type { ModelConfig } from '../../../src/model/sizes.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { tinyModel } from '../../checkpoint/hugging-face/tiny-folder.ts';
import { type Fixture, openFixture } from '../../parity/reference.ts';

/** What Pillow makes of parts of pictures, on white where they reach over the edges: fixtures/make_boxes.py. */
let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture(new URL('fixtures/boxes.safetensors', import.meta.url));
});
const cases = Array.from({ length: 11 }, (_, i) => i);
const caseOf = (i: number) => {
  const [height, width] = fixture.shape(`picture/${i}`) as [number, number];
  const [x, y, across, down] = fixture.floats(`box/${i}`) as unknown as [number, number, number, number];
  const square = fixture.bytes(`square/${i}`);
  return {
    image: { width, height, data: fixture.bytes(`picture/${i}`) },
    box: { x, y, width: across, height: down },
    size: fixture.shape(`square/${i}`)[0]!,
    square,
  };
};

describe('a part of a picture as a square', () => {
  it.each(cases)('has the bytes of Pillow with antialias, over the edges too: case %i', (i) => {
    const { image, box, size, square } = caseOf(i);
    const out = new Uint8Array(square.length + 3);
    resizeSquare(image, size, 'antialias', out, 3, box);
    expect(out.subarray(3)).toEqual(square);
  });

  it('is as big_vision has it where the recipe says so, or nothing', () => {
    const { image, box, size } = caseOf(6);
    const plain = new Uint8Array(size * size * 3);
    resizeBilinear(image, size, plain, 0, box);
    const ofPlan = (data: object) => {
      const { images, fill } = squareArrays({ resolution: size, data } as BatchPlan, 1);
      fill(0, image, box);
      return images;
    };
    expect(ofPlan({})).toEqual(plain);
    expect(ofPlan({ resize: 'big_vision' })).toEqual(plain);
    expect(ofPlan({ resize: 'antialias' })).toEqual(caseOf(6).square);
    expect(plain).not.toEqual(caseOf(6).square);
  });

  it('is the square that evaluation, teachers and served models see, where the whole picture is the part', () => {
    const { image, box, size, square } = caseOf(0);
    expect(box).toEqual({ x: 0, y: 0, width: image.width, height: image.height });
    expect(squarePixels(image, size, 'antialias')).toEqual(square);
    const model: ModelConfig = { ...tinyModel, vision: { ...tinyModel.vision, resolution: size } };
    expect(squareOf('x.png', image, model, ownProcessing(model))).toEqual(square);
    // What an export's processor says is that very resize.
    const processor = JSON.parse(preprocessorFile(model).content);
    expect(processor).toMatchObject({ do_resize: true, resample: 2, size: { height: size, width: size } });
  });
});
