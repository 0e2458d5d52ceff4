import { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure } from '@temporalio/workflow';
import { isUsed, nothingUsed, type Used } from '../src/costs/used.ts';

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

/** The failure that a phase waits for a person with: small, so that it can be carried over. */
export interface Broken {
  readonly message: string;
  readonly type: string;
}

export const brokenBy = (error: unknown): Broken => ({
  message: sentence(error),
  type: rootFailure(error)?.type ?? 'Unexpected',
});

/** What an abandoned phase ends with: that it was given up, and what it waited for a person with. */
export function abandoned(phase: string, step: number, broken: Broken | null): ApplicationFailure {
  const given = `phase ${phase} was abandoned at step ${step}`;
  return ApplicationFailure.create({
    message: broken ? `${given}, after it had failed: ${broken.message}` : given,
    type: broken?.type ?? 'Abandoned',
    nonRetryable: true,
    details: [{ abandoned: phase }],
  });
}

/** The failure of a workflow that was started with what it can't be. */
export const invalid = (message: string): ApplicationFailure => {
  const failure = ApplicationFailure.create({ message, type: 'RecipeInvalid', nonRetryable: true });
  failure.stack = '';
  return failure;
};

/** Milliseconds that a shard which did not end well had a device for, and what it used: none when it never came to one. */
export function spentOf(error: unknown): { readonly deviceMs: number; readonly used: Used } {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const details = cause instanceof ApplicationFailure || cause instanceof CancelledFailure ? cause.details : [];
  const { deviceMs: ms, used } = (details?.[0] ?? {}) as { deviceMs?: unknown; used?: unknown };
  return { deviceMs: typeof ms === 'number' ? ms : 0, used: isUsed(used) ? used : nothingUsed };
}

/** The step of a checkpoint that is damaged. */
export function damagedStep(details: unknown[] | null | undefined): number | null {
  const step = (details?.[0] as { step?: unknown } | undefined)?.step;
  return typeof step === 'number' ? step : null;
}

/** Whether a phase diverged in that its teacher collapsed: no batch is at fault. */
export const hasCollapsed = (details: unknown[] | null | undefined): boolean =>
  (details?.[0] as { kind?: unknown } | undefined)?.kind === 'teacherCollapsed';

/** Where a phase diverged, and on which of its batches. */
export function divergenceOf(details: unknown[] | null | undefined): { step: number; batch: number } {
  const { step = 0, batch = 0 } = (details?.[0] ?? {}) as { step?: number; batch?: number };
  return { step, batch };
}
