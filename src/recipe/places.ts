/** A key prefix: names of plain characters with / between them, of which none is . or .. */
export const placePattern = /^(?!.*(^|\/)\.\.?(\/|$))[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;

/** In words, what may stand in the place of a prefix that is none. */
export function allowedPlace(said: unknown, otherwise = ''): string {
  if (typeof said === 'string') {
    const inner = said.replace(/^s3:\/\/[^/]*\/?/, '').replace(/\/+$/, '');
    if (inner !== said && placePattern.test(inner))
      return said.startsWith('s3:')
        ? `the part within the bucket, which SIGLIP2_BUCKET names: "${inner}"`
        : `it without the slash at its end, "${inner}"`;
  }
  return `a key prefix within the bucket, such as data/emoji/train: names of A-Z, a-z, 0-9, ., _ and -, with / between${otherwise}`;
}

/** The prefixes under which training data lie. */
export const placesOf = (train: string | readonly string[]): readonly string[] =>
  typeof train === 'string' ? [train] : train;

/** Whether a prefix is another, or lies below it. */
export const isWithin = (place: string, other: string): boolean => `${place}/`.startsWith(`${other}/`);
