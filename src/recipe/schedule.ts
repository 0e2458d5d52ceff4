/**
 * The learning rate's factor, 0 to 1, when `examples` have been seen: 0.5 (1 + cos(pi p)) times the linear
 * warm-up, p the progress after it (big_vision `utils.create_learning_rate_schedule`, cosine). All in examples.
 */
export function cosineFactor(examples: number, total: number, warmup: number): number {
  const progress = Math.min(1, Math.max(0, (examples - warmup) / Math.max(1, total - warmup)));
  const ramp = warmup > 0 ? Math.min(1, examples / warmup) : 1;
  return 0.5 * (1 + Math.cos(Math.PI * progress)) * ramp;
}
