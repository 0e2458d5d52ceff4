/** What the header of a JPEG file says. */
export interface JpegSize {
  readonly width: number;
  readonly height: number;
  /** 1 of grey, 3 of colours, 4 of inks. */
  readonly components: number;
  /** The marker of its frame, C0 for baseline. */
  readonly frame: number;
}

const [soi, sos, marker] = [0xd8, 0xda, 0xff];
/** Between C0 and CF three markers begin something else than a frame. */
const noFrame = [0xc4, 0xc8, 0xcc];

/** Reads markers up to the frame (ITU T.81, B.1): a decoder takes a tenth of its time for that. Null where there is none. */
export function jpegSize(bytes: Uint8Array): JpegSize | null {
  if (bytes[0] !== marker || bytes[1] !== soi) return null;
  let at = 2;
  while (at + 10 <= bytes.length && bytes[at] === marker) {
    const kind = bytes[at + 1]!;
    // A marker may have more of its first byte before it.
    if (kind === marker) {
      at++;
      continue;
    }
    if (kind === sos) return null;
    const two = (place: number) => bytes[place]! * 256 + bytes[place + 1]!;
    if (kind >= 0xc0 && kind <= 0xcf && !noFrame.includes(kind))
      return { height: two(at + 5), width: two(at + 7), components: bytes[at + 9]!, frame: kind };
    at += 2 + two(at + 2);
  }
  return null;
}
