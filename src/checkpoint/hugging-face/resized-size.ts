/** `size` of a processor, in the forms that transformers' resize takes. */
export type SizeRule =
  | { readonly height: number; readonly width: number }
  | { readonly shortest_edge: number; readonly longest_edge?: number }
  | { readonly max_height: number; readonly max_width: number };

/** Height and width that transformers resizes an image to (its image_transforms.py), to the rounding. */
export function resizedSize(rule: SizeRule, height: number, width: number): readonly [number, number] {
  if ('height' in rule) return [rule.height, rule.width];
  if ('max_height' in rule) {
    const scale = Math.min(rule.max_height / height, rule.max_width / width);
    return [Math.trunc(height * scale), Math.trunc(width * scale)];
  }
  const { shortest_edge, longest_edge } = rule;
  if (longest_edge === undefined) {
    const long = Math.trunc((shortest_edge * Math.max(height, width)) / Math.min(height, width));
    return width <= height ? [long, shortest_edge] : [shortest_edge, long];
  }
  const [least, most] = [Math.min(height, width), Math.max(height, width)];
  const cut = (most / least) * shortest_edge > longest_edge ? (longest_edge * least) / most : null;
  const short = cut === null ? shortest_edge : roundHalfEven(cut);
  if ((height <= width && height === short) || (width <= height && width === short)) return [height, width];
  const exact = cut ?? short;
  return width < height ? [Math.trunc((exact * height) / width), short] : [short, Math.trunc((exact * width) / height)];
}

/** Python's round. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
