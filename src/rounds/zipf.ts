/**
 * How many different tokens are expected among `drawn` ones out of `vocabulary`, where the k-th most frequent has a share in
 * proportion to k^-exponent: the sum of 1 - (1 - p_k)^drawn. With text of the world exponents are about 1 to 1.2; the
 * lower gives more rows.
 */
export function expectedTokens(vocabulary: number, drawn: number, exponent = 1): number {
  let total = 0;
  for (let k = 1; k <= vocabulary; k++) total += k ** -exponent;
  let different = 0;
  for (let k = 1; k <= vocabulary; k++) different -= Math.expm1(drawn * Math.log1p(-(k ** -exponent) / total));
  return different;
}
