import sharp from 'sharp';
import { type RawMember, tarOf } from './tar-file.ts';

/** A picture that differs from others of another number. */
export const picture = (i: number, size = { width: 24, height: 16 }): Promise<Buffer> =>
  sharp({ create: { ...size, channels: 3, background: { r: (i * 37) % 256, g: (i * 91) % 256, b: 120 } } })
    .jpeg()
    .toBuffer();

/** The JSON that img2dataset writes: columns of the table, what became of the download, and Python's NaN for gaps. */
export const metaOf = (i: number, caption: string | null) => `{
    "punsafe": ${i % 2 ? 'NaN' : '0.00021'},
    "similarity": -Infinity,
    "caption": ${JSON.stringify(caption)},
    "url": "https://example.org/${i}.jpg?a=NaN",
    "key": "${keyOf(i)}",
    "status": "success",
    "error_message": null,
    "width": 24,
    "height": 16,
    "original_width": 640,
    "original_height": 427,
    "exif": "{\\"Image Tag 0x000B\\": \\"NaN\\"}",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
}`;

export const keyOf = (i: number) => String(i).padStart(9, '0');

/**
 * A shard as img2dataset 1.45 writes it with webdataset's TarWriter: of each example jpg, json and txt in this order, and
 * an empty txt where there is no caption.
 */
export async function img2dataset(captions: readonly (string | null)[], first = 0): Promise<Buffer> {
  const members: RawMember[] = [];
  for (const [n, caption] of captions.entries()) {
    const i = first + n;
    members.push(
      { name: `${keyOf(i)}.jpg`, body: await picture(i) },
      { name: `${keyOf(i)}.json`, body: metaOf(i, caption) },
      { name: `${keyOf(i)}.txt`, body: caption ?? '' },
    );
  }
  return tarOf(members);
}
