import type { Position } from './position.ts';
import { batchAt } from './steps.ts';

/** How the steps of a phase lie in its order of examples, from a step on. */
export interface Span {
  /** Steps and batches are counted from here. */
  readonly begins: Position;
  /** Examples of the order that were taken before. */
  readonly offset: number;
  readonly batch: number;
  readonly to: Position;
  /** Batches that are left out, ascending. */
  readonly skip: readonly number[];
}

/**
 * What is left of a phase in batches of another size: it ends with the last whole batch before the examples at which it
 * would have ended, takes the order up where it stands, and leaves out each batch that holds an example of one that was
 * left out. Null when not one batch is left. Only for images of one size: the steps of others are drawn.
 */
export function respan(span: Span, at: Position, batch: number): Span | null {
  const position = at.step - span.begins.step;
  // Below where it was spanned before, the batches are no longer known; as many examples lie before it as were seen.
  const offset =
    position >= 0
      ? span.offset + batchAt(position, span.skip) * span.batch
      : Math.max(0, span.offset - (span.begins.examples - at.examples));
  const steps = Math.floor((span.to.examples - at.examples) / batch + 1e-9);
  if (steps < 1) return null;
  const skip = new Set<number>();
  for (const left of span.skip) {
    const first = span.offset + left * span.batch - offset;
    const last = first + span.batch - 1;
    for (let one = Math.max(0, Math.floor(first / batch)); one * batch <= last; one++) skip.add(one);
  }
  const to = { step: at.step + steps, examples: at.examples + steps * batch };
  return { begins: at, offset, batch, to, skip: [...skip].sort((a, b) => a - b) };
}
