/** An image as it is stored: 8-bit sRGB, row by row, three channels. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** (height, width, 3). */
  readonly data: Uint8Array;
}

/** Part of an image, in its pixels; may reach over its edges, where everything is white. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
