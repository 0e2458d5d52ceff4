/** The learning rate's schedule as a phase sees it; `total` and `warmup` in examples of the whole recipe. */
export interface Schedule {
  readonly total: number;
  readonly warmup: number;
  /** Absent: cosine. */
  readonly shape?: 'cosine' | 'constant';
  /** Absent: a phase from scratch. The phase begins at `position` when `examples` were seen, and `stretch` examples move the schedule by one. */
  readonly start?: { readonly examples: number; readonly position: number; readonly stretch: number };
}

/**
 * Where on the schedule a phase stands when `examples` were seen. NaFlex spreads the last 10 % over 3.75 times the
 * examples (arXiv 2502.14786, 2.4.2).
 */
export function schedulePosition(examples: number, { start }: Schedule): number {
  if (start === undefined) return examples;
  return start.position + (examples - start.examples) / start.stretch;
}

/**
 * The learning rate's factor, 0 to 1, at a position on the schedule: 0.5 (1 + cos(pi p)) times the linear
 * warm-up, p the progress after it (big_vision `utils.create_learning_rate_schedule`, cosine). All in examples.
 */
export function cosineFactor(position: number, total: number, warmup: number): number {
  const progress = Math.min(1, Math.max(0, (position - warmup) / Math.max(1, total - warmup)));
  const ramp = warmup > 0 ? Math.min(1, position / warmup) : 1;
  return 0.5 * (1 + Math.cos(Math.PI * progress)) * ramp;
}

/** The learning rate's factor after `examples` of the run. */
export function scheduleFactor(examples: number, schedule: Schedule): number {
  const position = schedulePosition(examples, schedule);
  const { total, warmup, shape = 'cosine' } = schedule;
  if (shape === 'cosine') return cosineFactor(position, total, warmup);
  return warmup > 0 ? Math.min(1, position / warmup) : 1;
}
