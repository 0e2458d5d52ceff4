import { describe, expect, it } from 'vitest';
import { openAde20k, openNyu, openVoc } from '../../src/benchmarks/dense.ts';
import { readDepth, readMask } from '../../src/data/example/pixel-values.ts';
import { allOf, bytesOf, fixture, folders } from './data-set.ts';

const made = folders();

describe('masks', () => {
  it("are the places in VOC's palette, as Pillow reads them, also where a PNG has fewer bits a pixel", async () => {
    expect(await readMask(bytesOf(fixture.voc))).toEqual({
      width: 8,
      height: 6,
      values: Uint8Array.from(fixture.classes),
    });
    const two = fixture.classes.map((is: number) => (is === 3 ? 1 : 0));
    expect(await readMask(bytesOf(fixture.two))).toMatchObject({ values: Uint8Array.from(two) });
  });

  it("are ADE20k's grey values less one, with 0 as no class", async () => {
    const less = fixture.classes.map((is: number) => (is === 0 || is === 255 ? 255 : is - 1));
    expect(await readMask(bytesOf(fixture.grey), { zero: 'none' })).toMatchObject({ values: Uint8Array.from(less) });
    expect(await readMask(bytesOf(fixture.grey))).toMatchObject({ values: Uint8Array.from(fixture.classes) });
  });

  it('of another size, of colours, with a colour twice, or damaged are named', async () => {
    const fault = async (base64: string | Buffer, rules = {}) =>
      ((await readMask(typeof base64 === 'string' ? bytesOf(base64) : base64, rules)) as { fault: string }).fault;
    expect(await fault(fixture.voc, { size: { width: 8, height: 5 } })).toBe(
      'the mask has 8 x 6 pixels, and its picture 8 x 5',
    );
    expect(await fault(fixture.rgb)).toBe('the mask is no PNG with a palette or of grey values: colours say no class');
    expect(await fault(fixture.twice)).toBe(
      'the palette of the mask has a colour twice that is used: it says no class',
    );
    expect(await fault(fixture.depth)).toBe('the mask has 16 bits a pixel; 8 are read');
    expect(await fault(Buffer.from('JFIF'))).toBe('it is no PNG');
    expect(await fault(bytesOf(fixture.voc).subarray(0, -30))).toBe('the PNG breaks off or is damaged');
  });
});

describe('depth', () => {
  it("is in metres as Pillow reads it, and 0 beyond Eigen's crop", async () => {
    const [all, inner] = [
      await readDepth(bytesOf(fixture.depth)),
      await readDepth(bytesOf(fixture.depth), { crop: 'eigen' }),
    ];
    if ('fault' in all || 'fault' in inner) throw new Error('no depth');
    expect([all.width, all.height]).toEqual([640, 480]);
    for (const [place, millimetres] of Object.entries(fixture.depth_at)) {
      const [y, x] = place.split(',').map(Number) as [number, number];
      expect(all.values[640 * y + x], place).toBe(Math.fround((millimetres as number) / 1000));
      const isInside = y >= 45 && y < 471 && x >= 41 && x < 601;
      expect(inner.values[640 * y + x], place).toBe(isInside ? all.values[640 * y + x] : 0);
    }
    expect(await readDepth(bytesOf(fixture.voc))).toEqual({
      fault: 'depth has to be a PNG with 16 bits of grey, and this one has 8 bits of kind 3',
    });
  });
});

describe('data sets of masks and depth', () => {
  it('VOC gives the pictures of a list with their masks, and names what is not there', async () => {
    const files = made({
      'ImageSets/Segmentation/val.txt': '2007_000033\n2007_000042\n../x\n',
      'JPEGImages/2007_000033.jpg': 'P',
      'SegmentationClass/2007_000033.png': 'M',
      'JPEGImages/2007_000042.jpg': 'P',
    });
    const benchmark = await openVoc(files);
    expect(benchmark.classes).toHaveLength(21);
    const { examples, faults } = await allOf(benchmark);
    expect(examples).toEqual([
      {
        name: '2007_000033',
        picture: { file: 'JPEGImages/2007_000033.jpg' },
        mask: 'SegmentationClass/2007_000033.png',
      },
    ]);
    expect(faults.map(({ fault }) => fault)).toEqual([
      'SegmentationClass/2007_000042.png is not there',
      'it names no file within the data set',
    ]);
    await expect(openVoc(files, 'test')).rejects.toThrow('ImageSets/Segmentation/test.txt is not there');
  });

  it('ADE20k gives pictures with their masks and the names of classes', async () => {
    const files = made({
      'objectInfo150.txt': 'Idx\tRatio\tTrain\tVal\tName\n1\t0.1\t10\t1\twall\n2\t0.1\t10\t1\tbuilding, edifice\n',
      'images/validation/ADE_val_1.jpg': 'P',
      'annotations/validation/ADE_val_1.png': 'M',
      'images/validation/ADE_val_2.jpg': 'P',
      'images/validation/readme.txt': 'x',
    });
    const benchmark = await openAde20k(files);
    expect(benchmark.classes).toEqual(['wall', 'building, edifice']);
    const { examples, faults } = await allOf(benchmark);
    expect(examples.map(({ mask }) => mask)).toEqual(['annotations/validation/ADE_val_1.png']);
    expect(faults.map(({ name, fault }) => `${name}: ${fault}`)).toEqual([
      'ADE_val_2.jpg: annotations/validation/ADE_val_2.png is not there',
      'readme.txt: it is no picture',
    ]);
    await expect(allOf(await openAde20k(files, 'training'))).rejects.toThrow('images/training has no picture');
  });

  it('NYU gives pictures with their depth, and names lines that name none', async () => {
    const files = made({
      'nyu_test.txt': '/bathroom/rgb_1.jpg /bathroom/depth_1.png 518.8\nrgb_2.jpg None 518.8\nrgb_3.jpg\n../a b 1\n',
      'bathroom/rgb_1.jpg': 'P',
      'bathroom/depth_1.png': bytesOf(fixture.depth),
    });
    const { examples, faults } = await allOf(await openNyu(files));
    expect(examples).toEqual([
      { name: 'bathroom/rgb_1.jpg', picture: { file: 'bathroom/rgb_1.jpg' }, depth: 'bathroom/depth_1.png' },
    ]);
    expect(faults.map(({ name, fault }) => `${name}: ${fault}`)).toEqual([
      'nyu_test.txt line 2: its depth is None',
      'nyu_test.txt line 3: it names no picture and depth',
      'nyu_test.txt line 4: it names no picture and depth',
    ]);
  });
});
