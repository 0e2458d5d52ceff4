/** log(1 + exp(x)), for any x: neither of the two overflows, and small ones keep their digits. */
export const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
