/**
 * How many jobs KEDA starts for a ScaledJob at one look, as its source and its tests have it (kedacore/keda: pkg/scaling/scaledjob
 * and pkg/scaling/executor/scale_jobs_test.go of 2026-08), with one trigger and no least number of jobs.
 */
export interface ScaledJob {
  /** `accurate` is for a queue that no longer counts what is being worked on, as Temporal's backlog. */
  readonly strategy: 'default' | 'accurate';
  readonly maxReplicaCount: number;
  /** `targetQueueSize` of the Temporal trigger. */
  readonly target: number;
}

export interface Look {
  /** Tasks that wait. */
  readonly queue: number;
  /** Jobs that have not ended, those that are pending too. */
  readonly running: number;
  /** Of those, the ones that are not ready yet. */
  readonly pending: number;
}

export function newJobs({ strategy, maxReplicaCount, target }: ScaledJob, { queue, running, pending }: Look): number {
  if (queue === 0) return 0;
  const maxScale = Math.ceil(Math.min(queue / target, maxReplicaCount));
  const room = strategy === 'default' ? maxScale - running : Math.min(maxScale - pending, maxReplicaCount - running);
  return Math.max(0, Math.min(queue, room));
}
