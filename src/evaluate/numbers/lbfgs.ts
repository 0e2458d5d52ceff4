/** A function to be minimised: its value at x, and its gradient written to `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => Promise<number>;

export interface Minimum {
  readonly value: number;
  readonly iterations: number;
  /** Largest part of the gradient. */
  readonly gradient: number;
}

const pairs = 10;
const armijo = 1e-4;
const halvings = 40;

/**
 * L-BFGS (Nocedal and Wright, algorithm 7.5) with backtracking, for smooth convex functions. Goes on from `x`, in place.
 * Ends when no part of the gradient is above `tolerance`, or when no step lowers the value any more.
 */
export async function minimise(
  f: Objective,
  x: Float64Array,
  { iterations, tolerance }: { readonly iterations: number; readonly tolerance: number },
): Promise<Minimum> {
  const n = x.length;
  let gradient = new Float64Array(n);
  let value = await f(x, gradient);
  const history: { readonly s: Float64Array; readonly y: Float64Array; readonly rho: number }[] = [];
  for (let iteration = 0; iteration < iterations; iteration++) {
    if (largest(gradient) <= tolerance) return { value, iterations: iteration, gradient: largest(gradient) };
    const direction = twoLoops(gradient, history);
    let slope = product(direction, gradient);
    if (!(slope < 0)) {
      // What the pairs say is no way down: begin again.
      history.length = 0;
      for (let k = 0; k < n; k++) direction[k] = -gradient[k]!;
      slope = product(direction, gradient);
    }
    let step = history.length === 0 ? Math.min(1, 1 / Math.sqrt(-slope)) : 1;
    const next = new Float64Array(n);
    const nextGradient = new Float64Array(n);
    let nextValue = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < halvings; tries++, step /= 2) {
      for (let k = 0; k < n; k++) next[k] = x[k]! + step * direction[k]!;
      nextValue = await f(next, nextGradient);
      if (nextValue <= value + armijo * step * slope) break;
    }
    if (!(nextValue < value)) {
      if (history.length === 0) return { value, iterations: iteration, gradient: largest(gradient) };
      history.length = 0;
      continue;
    }
    const s = next.map((one, k) => one - x[k]!);
    const y = nextGradient.map((one, k) => one - gradient[k]!);
    const curvature = product(s, y);
    if (curvature > 1e-12 * product(y, y)) {
      history.push({ s, y, rho: 1 / curvature });
      if (history.length > pairs) history.shift();
    }
    x.set(next);
    [value, gradient] = [nextValue, nextGradient];
  }
  return { value, iterations, gradient: largest(gradient) };
}

function twoLoops(
  gradient: Float64Array,
  history: readonly { readonly s: Float64Array; readonly y: Float64Array; readonly rho: number }[],
): Float64Array {
  const q = gradient.slice();
  const alphas: number[] = [];
  for (let i = history.length - 1; i >= 0; i--) {
    const { s, y, rho } = history[i]!;
    const alpha = rho * product(s, q);
    alphas[i] = alpha;
    for (let k = 0; k < q.length; k++) q[k]! -= alpha * y[k]!;
  }
  const last = history.at(-1);
  const scale = last ? 1 / (last.rho * product(last.y, last.y)) : 1;
  for (let k = 0; k < q.length; k++) q[k]! *= scale;
  for (const [i, { s, y, rho }] of history.entries()) {
    const beta = rho * product(y, q);
    for (let k = 0; k < q.length; k++) q[k]! += (alphas[i]! - beta) * s[k]!;
  }
  for (let k = 0; k < q.length; k++) q[k] = -q[k]!;
  return q;
}

function product(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
}

function largest(a: Float64Array): number {
  let most = 0;
  for (const value of a) most = Math.max(most, Math.abs(value));
  return most;
}
