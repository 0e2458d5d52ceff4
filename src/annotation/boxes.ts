/** [top, left, bottom, right] in shares of the picture. */
export type BoxSides = readonly [number, number, number, number];

export interface ScoredBox {
  readonly box: BoxSides;
  readonly score: number;
  /** Number of its query. */
  readonly query: number;
}

/** What becomes of the boxes of a picture, each counted once: at the first rule that drops it. */
export interface BoxCounts {
  /** Of the detector: one for each of its patches. */
  readonly proposed: number;
  /** Scores below `boxThreshold`. */
  readonly belowThreshold: number;
  /** Outside of the picture, or without an area there. */
  readonly outside: number;
  /** Under a better box. */
  readonly overlapping: number;
  /** Beyond the best `mostBoxes`. */
  readonly beyondMost: number;
  /** In pictures without one good box. */
  readonly unsure: number;
  readonly kept: number;
}

export interface BoxRules {
  /** A picture none of whose boxes has this score has none. */
  readonly imageThreshold: number;
  /** Boxes below it are dropped. */
  readonly boxThreshold: number;
  /** Of boxes that overlap more (intersection over union) the best stays; 1: all stay. */
  readonly nms: number;
  readonly mostBoxes: number;
}

/** What a detector says of a picture. */
export interface Proposals {
  /** (boxes, queries). */
  readonly logits: Float32Array;
  readonly count: { readonly boxes: number; readonly queries: number };
  /** (boxes, 4): centre x, centre y, width, height, in shares of what the detector saw. */
  readonly boxes: Float32Array;
  /** Shares of that which the picture takes: less than 1 where it was padded. */
  readonly seen: { readonly width: number; readonly height: number };
}

/** Queries from `from` on are categories, and their scores count for so much. */
export interface Curated {
  readonly from: number;
  readonly scale: number;
}

/**
 * The boxes of a picture that are kept, best first, each with its best query (OWLv2, arXiv 2306.09683, 3.1 and A.3). A
 * score is the sigmoid of a logit; those of categories are scaled before anything is compared.
 */
export function keptBoxes(
  proposals: Proposals,
  rules: BoxRules,
  curated: Curated,
): { readonly kept: ScoredBox[]; readonly counts: BoxCounts } {
  const { boxes, count, seen } = proposals;
  const good: ScoredBox[] = [];
  let [belowThreshold, outside] = [0, 0];
  for (let i = 0; i < count.boxes; i++) {
    const { query, score } = bestQuery(proposals, i, curated);
    if (!(score >= rules.boxThreshold)) {
      belowThreshold++;
      continue;
    }
    const box = sidesOf(boxes.subarray(i * 4, i * 4 + 4), seen);
    if (box === null) outside++;
    else good.push({ box, score, query });
  }
  // Equal scores keep the order of the patches.
  good.sort((a, b) => b.score - a.score);
  const apart = suppressed(good, rules.nms, rules.mostBoxes);
  const sure = (apart.kept[0]?.score ?? 0) >= rules.imageThreshold;
  const kept = sure ? apart.kept : [];
  const { overlapping, beyondMost } = apart;
  const unsure = apart.kept.length - kept.length;
  const proposed = count.boxes;
  return { kept, counts: { proposed, belowThreshold, outside, overlapping, beyondMost, unsure, kept: kept.length } };
}

function bestQuery({ logits, count: { queries } }: Proposals, box: number, { from, scale }: Curated) {
  const bestOf = (first: number, end: number) => {
    let query = -1;
    for (let q = first; q < end; q++)
      if (query < 0 || logits[box * queries + q]! > logits[box * queries + query]!) query = q;
    return { query, score: query < 0 ? 0 : sigmoid(logits[box * queries + query]!) };
  };
  const own = bestOf(0, Math.min(from, queries));
  const category = bestOf(from, queries);
  return scale * category.score > own.score ? { query: category.query, score: scale * category.score } : own;
}

const sigmoid = (logit: number) => 1 / (1 + Math.exp(-logit));

/** The part of a box within the picture; null where there is none. */
function sidesOf(box: Float32Array, { width, height }: Proposals['seen']): BoxSides | null {
  const [x, y, w, h] = box as unknown as [number, number, number, number];
  const within = (place: number, side: number) => rounded(Math.min(1, Math.max(0, place / side)));
  const [top, bottom] = [within(y - h / 2, height), within(y + h / 2, height)];
  const [left, right] = [within(x - w / 2, width), within(x + w / 2, width)];
  return top < bottom && left < right ? [top, left, bottom, right] : null;
}

/** To a ten-thousandth, a tenth of a pixel of a picture of a thousand: so machines seldom differ in what they write. */
export const rounded = (share: number) => Math.round(share * 10_000) / 10_000;

/** Greedy suppression of boxes that come best first. */
export function suppressed(boxes: readonly ScoredBox[], most: number, mostBoxes: number) {
  const kept: ScoredBox[] = [];
  let [overlapping, beyondMost] = [0, 0];
  for (const one of boxes) {
    if (kept.length >= mostBoxes) beyondMost++;
    else if (most < 1 && kept.some(({ box }) => overlap(box, one.box) > most)) overlapping++;
    else kept.push(one);
  }
  return { kept, overlapping, beyondMost };
}

/** Intersection over union. */
export function overlap(a: BoxSides, b: BoxSides): number {
  const height = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const width = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (height <= 0 || width <= 0) return 0;
  const area = ([top, left, bottom, right]: BoxSides) => (bottom - top) * (right - left);
  return (height * width) / (area(a) + area(b) - height * width);
}
