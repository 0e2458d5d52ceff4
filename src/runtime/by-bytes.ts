/** The order of texts by the bytes of their UTF-8, which stores list keys in: to be sorted by. */
export const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
