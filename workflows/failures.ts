import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/workflow';

/** The failure at the bottom: what an activity said, without the layers that carried it here. */
export function rootFailure(error: unknown): ApplicationFailure | null {
  let at: unknown = error;
  while (at instanceof ActivityFailure || at instanceof ChildWorkflowFailure) at = at.cause;
  return at instanceof ApplicationFailure ? at : null;
}

/** What a workflow fails with: one clear sentence and its code, no stack. Cancellation passes as it is. */
export function clearFailure(error: unknown): unknown {
  const root = rootFailure(error);
  if (!root) return error;
  const failure = ApplicationFailure.create({
    message: root.message,
    type: root.type ?? 'Unexpected',
    nonRetryable: true,
    details: root.details ?? [],
  });
  failure.stack = '';
  return failure;
}

/** The one sentence for people. */
export function sentence(error: unknown): string {
  return rootFailure(error)?.message ?? (error instanceof Error ? error.message : String(error));
}

/** Whether a phase ended since a person gave it up. */
export function wasAbandoned(error: unknown): boolean {
  return (
    rootFailure(error)?.details?.some(
      (detail) => (detail as { abandoned?: unknown } | null)?.abandoned !== undefined,
    ) ?? false
  );
}

/** What an abandoned phase ends with: what broke it, or else that it was given up. */
export function abandoned(phase: string, step: number, broken: unknown): ApplicationFailure {
  const root = rootFailure(broken);
  return ApplicationFailure.create({
    message: root?.message ?? `phase ${phase} was abandoned at step ${step}`,
    type: root?.type ?? 'Abandoned',
    nonRetryable: true,
    details: [{ abandoned: phase }],
  });
}

/** The step of a checkpoint that is damaged. */
export function damagedStep(details: unknown[] | null | undefined): number | null {
  const step = (details?.[0] as { step?: unknown } | undefined)?.step;
  return typeof step === 'number' ? step : null;
}

/** Where a phase diverged, and on which of its batches. */
export function divergenceOf(details: unknown[] | null | undefined): { step: number; batch: number } {
  const { step = 0, batch = 0 } = (details?.[0] ?? {}) as { step?: number; batch?: number };
  return { step, batch };
}
