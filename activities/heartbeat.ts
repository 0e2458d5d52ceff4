import type { Attempt } from './dependencies.ts';

/** How often the newest details are sent: Temporal keeps the last ones, and `siglip2 status` shows them. */
const interval = 1000;

/** Beats until it is stopped, whatever the activity waits for. `details` is asked each time. */
export function beat(attempt: Pick<Attempt, 'heartbeat'>, details: () => unknown = () => undefined): { stop(): void } {
  attempt.heartbeat(details());
  const timer = setInterval(() => attempt.heartbeat(details()), interval);
  return { stop: () => clearInterval(timer) };
}
