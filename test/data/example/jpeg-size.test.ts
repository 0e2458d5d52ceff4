import sharp from 'sharp';
import { expect, it } from 'vitest';
import { jpegSize } from '../../../src/data/example/jpeg-size.ts';

const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#345' } });

it('the header of a JPEG tells what sharp finds: of colours, grey, inks, progressive ones, and with long metadata before it', async () => {
  const files = [
    await picture(37, 21).jpeg().toBuffer(),
    await picture(300, 500).jpeg({ progressive: true }).toBuffer(),
    await picture(9, 1).toColourspace('b-w').jpeg().toBuffer(),
    await picture(8, 8).toColourspace('cmyk').jpeg().toBuffer(),
    await picture(640, 480)
      .withIccProfile('p3')
      .withExif({ IFD0: { Copyright: 'x'.repeat(5000) } })
      .jpeg()
      .toBuffer(),
  ];
  for (const file of files) {
    const { width, height, channels, isProgressive } = await sharp(file).metadata();
    expect(jpegSize(file)).toEqual({ width, height, components: channels, frame: isProgressive ? 0xc2 : 0xc0 });
  }
});

it('of what is no JPEG, or ends before its frame, nothing is told', async () => {
  const file = await picture(37, 21).jpeg().toBuffer();
  expect(jpegSize(await picture(3, 3).png().toBuffer())).toBeNull();
  for (const length of [0, 1, 2, 3, 30]) expect(jpegSize(file.subarray(0, length))).toBeNull();
  expect(jpegSize(Uint8Array.from([0xff, 0xd8, ...Array(100).fill(0xff)]))).toBeNull();
});
