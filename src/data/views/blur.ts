/**
 * Gaussian blur of (height, width, 3) bytes, edges repeated, one side after the other in float32: the kernel that
 * Pillow's three box blurs approximate, cut at three deviations.
 */
export function gaussianBlur(pixels: Uint8Array, width: number, height: number, sigma: number): void {
  const radius = Math.max(1, Math.ceil(3 * sigma));
  const kernel = Float32Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)),
  );
  const sum = kernel.reduce((a, b) => a + b);
  for (let i = 0; i < kernel.length; i++) kernel[i]! /= sum;
  const rows = new Float32Array(pixels.length);
  along(pixels, rows, { lines: height, line: width * 3, count: width, stride: 3 }, kernel);
  const both = new Float32Array(pixels.length);
  along(rows, both, { lines: width, line: 3, count: height, stride: width * 3 }, kernel);
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.round(both[i]!);
}

interface Walk {
  readonly lines: number;
  /** From one line to the next, and from one pixel of a line to the next. */
  readonly line: number;
  readonly count: number;
  readonly stride: number;
}

function along(from: ArrayLike<number>, to: Float32Array, { lines, line, count, stride }: Walk, kernel: Float32Array) {
  const radius = (kernel.length - 1) / 2;
  for (let l = 0; l < lines; l++) {
    for (let i = 0; i < count; i++) {
      let [red, green, blue] = [0, 0, 0];
      for (let k = 0; k < kernel.length; k++) {
        const place = l * line + Math.min(count - 1, Math.max(0, i + k - radius)) * stride;
        const share = kernel[k]!;
        red += share * from[place]!;
        green += share * from[place + 1]!;
        blue += share * from[place + 2]!;
      }
      const at = l * line + i * stride;
      to[at] = red;
      to[at + 1] = green;
      to[at + 2] = blue;
    }
  }
}
