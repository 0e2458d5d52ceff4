/**
 * The outer optimiser: SGD with momentum as PyTorch has it (`torch.optim.SGD`, no dampening), by the mean change of the
 * replicas as a negative gradient: v' = momentum v - change, and step = rate (change - momentum v') where it is Nesterov's,
 * else step = -rate v'.
 */
export interface Outer {
  readonly rate: number;
  /** 0: none, and no buffer. */
  readonly momentum: number;
  /** Absent: it is Nesterov's. */
  readonly nesterov?: boolean;
}

/** The step of one number; `v` is its buffer after the step. */
export const stepOf = ({ rate, momentum, nesterov = true }: Outer, change: number, v: number) =>
  nesterov || momentum === 0 ? rate * (change - momentum * v) : -rate * v;

/** The buffer of one number after a step, in the precision that it is kept in. */
export const bufferAfter = ({ momentum }: Outer, change: number, v: number) => Math.fround(momentum * v - change);

/**
 * Where the step leads from `before`, given the mean of the replicas' values rather than of their changes. With rate 1 and
 * no momentum it is that mean itself: before + (mean - before) is another number where the two differ by orders.
 */
export function valueAfter(outer: Outer, before: number, mean: number, v: number): number {
  const { rate, momentum, nesterov = true } = outer;
  if (momentum === 0) return rate === 1 ? mean : (1 - rate) * before + rate * mean;
  if (!nesterov) return before - rate * v;
  return (1 - rate) * before + rate * mean - rate * momentum * v;
}
