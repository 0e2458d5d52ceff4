/** Called every few million products: who owns the process may let messages through. Changes no figure. */
export type Pause = () => Promise<void>;

/** Rows of unit length in the shared space, and what each is about. Letters: n queries, m candidates, E width. */
export interface Embeddings {
  readonly width: number;
  /** (n, E), row by row. */
  readonly rows: Float32Array;
  /** (n): rows of equal number show, or name, the same thing. */
  readonly concepts: Int32Array;
}

// Candidates are taken by blocks that stay in the second-level cache while all queries pass over them.
const blockFloats = 32_768;
// Times a block: some hundred million products between two pauses.
const queriesAtOnce = 8192;

/**
 * For each query the place (0 is first) of the best-placed candidate of its concept, or -1 where there is none.
 * Candidates are ordered by cosine; of equal ones the earlier is first, as `argmax` has it, so that a model which
 * has collapsed to one point scores chance. Sums are taken in double precision in a fixed order: equal embeddings
 * give equal places on every machine.
 */
export async function bestRanks(queries: Embeddings, candidates: Embeddings, pause: Pause): Promise<Int32Array> {
  const { width } = queries;
  const count = queries.concepts.length;
  const q = Float64Array.from(queries.rows);
  const c = Float64Array.from(candidates.rows);
  const { places, scores } = bestOfConcept(queries, candidates, q, c);
  const ranks = new Int32Array(count);
  const block = Math.max(1, Math.floor(blockFloats / width));
  const total = candidates.concepts.length;
  for (let from = 0; from < total; from += block) {
    const to = Math.min(total, from + block);
    let i = 0;
    // Four queries at a time: each value of a candidate is loaded once for all of them.
    for (; i + 4 <= count; i += 4) {
      countBetterOfFour(q, c, width, i, from, to, places, scores, ranks);
      if (i % queriesAtOnce === 0) await pause();
    }
    for (; i < count; i++) {
      for (let j = from; j < to; j++) {
        if (isBetter(dot(q, i, c, j, width), j, scores[i]!, places[i]!)) ranks[i]!++;
      }
    }
  }
  return ranks.map((rank, i) => (places[i]! < 0 ? -1 : rank));
}

/** Place and cosine of the best candidate of each query's own concept. */
function bestOfConcept(queries: Embeddings, candidates: Embeddings, q: Float64Array, c: Float64Array) {
  const byConcept = new Map<number, number[]>();
  for (const [j, concept] of candidates.concepts.entries()) {
    const own = byConcept.get(concept);
    if (own) own.push(j);
    else byConcept.set(concept, [j]);
  }
  const places = new Int32Array(queries.concepts.length).fill(-1);
  const scores = new Float64Array(places.length).fill(Number.NEGATIVE_INFINITY);
  for (const [i, concept] of queries.concepts.entries()) {
    for (const j of byConcept.get(concept) ?? []) {
      const score = dot(q, i, c, j, queries.width);
      if (places[i]! < 0 || score > scores[i]!) {
        places[i] = j;
        scores[i] = score;
      }
    }
  }
  return { places, scores };
}

function isBetter(score: number, j: number, own: number, place: number): boolean {
  return score > own || (score === own && j < place);
}

/** The loop below adds in the same order, so that a score is the same number wherever it is computed. */
function dot(q: Float64Array, i: number, c: Float64Array, j: number, width: number): number {
  let sum = 0;
  for (let k = 0, a = i * width, b = j * width; k < width; k++) sum += q[a + k]! * c[b + k]!;
  return sum;
}

function countBetterOfFour(
  q: Float64Array,
  c: Float64Array,
  width: number,
  first: number,
  from: number,
  to: number,
  places: Int32Array,
  scores: Float64Array,
  ranks: Int32Array,
): void {
  const a0 = first * width;
  const a1 = a0 + width;
  const a2 = a1 + width;
  const a3 = a2 + width;
  for (let j = from; j < to; j++) {
    const b = j * width;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let k = 0; k < width; k++) {
      const value = c[b + k]!;
      s0 += q[a0 + k]! * value;
      s1 += q[a1 + k]! * value;
      s2 += q[a2 + k]! * value;
      s3 += q[a3 + k]! * value;
    }
    if (isBetter(s0, j, scores[first]!, places[first]!)) ranks[first]!++;
    if (isBetter(s1, j, scores[first + 1]!, places[first + 1]!)) ranks[first + 1]!++;
    if (isBetter(s2, j, scores[first + 2]!, places[first + 2]!)) ranks[first + 2]!++;
    if (isBetter(s3, j, scores[first + 3]!, places[first + 3]!)) ranks[first + 3]!++;
  }
}

/** Share of the ranks that are below k; -1 counts as a miss. */
export function shareWithin(ranks: Int32Array, k: number): number {
  let hits = 0;
  for (const rank of ranks) if (rank >= 0 && rank < k) hits++;
  return ranks.length === 0 ? 0 : hits / ranks.length;
}
