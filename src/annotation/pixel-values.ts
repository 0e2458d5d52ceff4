import type { Pixels } from '../data/example/pixels.ts';
import { type Kernel, resizeAntialiased } from '../data/views/resize-antialiased.ts';
import { isRecord } from '../runtime/json-text.ts';

/** How a detector wants pictures, as its preprocessor_config.json says. */
export interface PixelRules {
  readonly width: number;
  readonly height: number;
  /** OWLv2: the picture lies at the top left of a grey square. OWL-ViT: it is stretched to the square. */
  readonly pad: boolean;
  readonly kernel: Kernel;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const clip = { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] };
/** Pillow's numbers of its kernels. */
const kernels: Readonly<Record<number, Kernel>> = { 1: 'lanczos', 2: 'bilinear', 3: 'bicubic', 4: 'box', 5: 'hamming' };

/** From the JSON of a preprocessor_config.json. Throws a sentence about what is no setting of OWL-ViT or OWLv2. */
export function pixelRules(config: unknown): PixelRules {
  if (!isRecord(config)) throw new Error('it is no JSON object');
  const kind = String(config.image_processor_type ?? config.feature_extractor_type ?? '');
  const second = /^Owlv2/i.test(kind);
  if (!second && !/^OwlViT/i.test(kind))
    throw new Error(`its image_processor_type is "${kind.slice(0, 60)}"; allowed: OwlViT... and Owlv2...`);
  const side = sizeOf(config.size, second ? 960 : 768);
  if (side === null) throw new Error('its size is no height and width of 1 to 4096 pixels');
  const numbers = (value: unknown, otherwise: readonly number[]) =>
    Array.isArray(value) && value.length === 3 && value.every((one) => Number.isFinite(one)) ? value : otherwise;
  return {
    ...side,
    pad: second && config.do_pad !== false,
    kernel: kernels[Number(config.resample ?? (second ? 2 : 3))] ?? 'bicubic',
    mean: config.do_normalize === false ? [0, 0, 0] : numbers(config.image_mean, clip.mean),
    std: config.do_normalize === false ? [1, 1, 1] : numbers(config.image_std, clip.std),
  };
}

/** One number, a pair, or an object: older and newer versions of transformers write each of them. */
function sizeOf(size: unknown, otherwise: number): { width: number; height: number } | null {
  const [height, width] = isRecord(size)
    ? [size.height, size.width]
    : Array.isArray(size)
      ? size
      : [size ?? otherwise, size ?? otherwise];
  const isSide = (side: unknown): side is number => Number.isInteger(side) && Number(side) > 0 && Number(side) <= 4096;
  return isSide(height) && isSide(width) ? { width, height } : null;
}

/** (3, height, width) for a detector, and the share of it that the picture takes. */
export interface PixelValues {
  readonly values: Float32Array;
  readonly seen: { readonly width: number; readonly height: number };
}

/** Of the grey that OWLv2 was trained with around pictures: half of white. */
const grey = 0.5;

/** Pixels as transformers' Owlv2ImageProcessor or OwlViTImageProcessor makes them, but for the grey, see the page. */
export function pixelValues(image: Pixels, rules: PixelRules): PixelValues {
  return rules.pad ? padded(image, rules) : stretched(image, rules);
}

/** As Pillow resizes, in bytes. */
function stretched(image: Pixels, { width, height, kernel, mean, std }: PixelRules): PixelValues {
  const bytes = new Uint8Array(width * height * 3);
  resizeAntialiased(image, width, height, bytes, 0, kernel);
  const [values, size] = [new Float32Array(bytes.length), width * height];
  for (let i = 0; i < size; i++)
    for (let c = 0; c < 3; c++) values[c * size + i] = (bytes[i * 3 + c]! / 255 - mean[c]!) / std[c]!;
  return { values, seen: { width: 1, height: 1 } };
}

/** In floats: the square, blurred as far as it shrinks (scikit-image's rule), then linearly between the nearest pixels. */
function padded({ width: w, height: h, data }: Pixels, { width, height, mean, std }: PixelRules): PixelValues {
  const side = Math.max(w, h);
  const [rows, columns] = [taps(side, height), taps(side, width)];
  const [rowBlur, columnBlur] = [gauss(side / height), gauss(side / width)];
  const blurs = rowBlur.length > 1 && columnBlur.length > 1;
  const values = new Float32Array(3 * width * height);
  for (let c = 0; c < 3; c++) {
    let plane: Float32Array = new Float32Array(side * side).fill(grey);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) plane[y * side + x] = data[(y * w + x) * 3 + c]! / 255;
    if (blurs) plane = blurred(blurred(plane, side, columnBlur, 1, side), side, rowBlur, side, 1);
    for (let y = 0; y < height; y++) {
      const row = rows[y]!;
      const [top, bottom] = [row.lower * side, row.upper * side];
      for (let x = 0; x < width; x++) {
        const { lower, upper, share } = columns[x]!;
        const above = plane[top + lower]! + (plane[top + upper]! - plane[top + lower]!) * share;
        const below = plane[bottom + lower]! + (plane[bottom + upper]! - plane[bottom + lower]!) * share;
        values[(c * height + y) * width + x] = (above + (below - above) * row.share - mean[c]!) / std[c]!;
      }
    }
  }
  return { values, seen: { width: w / side, height: h / side } };
}

function taps(from: number, to: number) {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const lower = Math.min(from - 1, Math.floor(place));
    return { lower, upper: Math.min(from - 1, lower + 1), share: place - lower };
  });
}

/** Shares of a Gaussian of sigma (factor - 1) / 2, cut at three sigmas; [1] where nothing shrinks. */
function gauss(factor: number): Float64Array {
  const sigma = Math.max(0, (factor - 1) / 2);
  const radius = Math.ceil(3 * sigma);
  if (sigma === 0) return Float64Array.of(1);
  const shares = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / sigma) ** 2));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => share / sum);
}

/** Along one side of a square, mirrored at its edges without repeating them. */
function blurred(plane: Float32Array, side: number, shares: Float64Array, step: number, line: number): Float32Array {
  const radius = (shares.length - 1) / 2;
  const out = new Float32Array(plane.length);
  const places = Int32Array.from({ length: side + 2 * radius }, (_, i) => mirrored(i - radius, side) * step);
  for (let n = 0; n < side; n++) {
    for (let i = 0; i < side; i++) {
      let sum = 0;
      for (let k = 0; k < shares.length; k++) sum += shares[k]! * plane[n * line + places[i + k]!]!;
      out[n * line + i * step] = sum;
    }
  }
  return out;
}

function mirrored(at: number, side: number): number {
  if (side === 1) return 0;
  const period = 2 * (side - 1);
  const within = ((at % period) + period) % period;
  return within < side ? within : period - within;
}
