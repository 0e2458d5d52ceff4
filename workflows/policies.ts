import type { ActivityOptions } from '@temporalio/workflow';

/** Every time limit and retry of the workflows. */

/** Device work: training and evaluation, one at a time for each device. */
export const deviceQueue = 'siglip2-gpu';
/** Detectors, for hours and on a CPU: neither training nor light activities should wait for them. */
export const annotateQueue = 'siglip2-annotate';

/** Shards of a phase before it continues as new: a history of a few thousand events replays in well under a second. */
export const shardsOfOneHistory = 100;
/** Scored shards of the data likewise: each is a few events. */
export const scoresOfOneHistory = 500;

// An outage of the store or of a device may last for hours; a person who wants no more of it cancels the run.
// Errors that trying again can't mend are marked so by activities/failures.ts, and end the activity at once.
const patient = {
  // Most faults are over in a moment: a worker that restarts, a connection that broke.
  initialInterval: '1s',
  backoffCoefficient: 2,
  // When the store is back, no one should wait longer than this for it.
  maximumInterval: '1m',
} as const;

/** Parts in which shards are indexed, of one shard or of many, however many there are: each is a few events too. */
export const indexingsOfOneHistory = 200;
/** Indexing is spread over all workers likewise. */
export const indexingsAtOnce = 32;

export const lightOptions: ActivityOptions = {
  // Reading the headers of a large data set over a slow link.
  startToCloseTimeout: '2h',
  // Activities beat every second; ten times that is a worker that is gone, not one that is busy.
  heartbeatTimeout: '15s',
  retry: patient,
};

/** What only takes room is tried for a while, then noted: nobody waits for it, and a run must come to its end. */
export const fewTries = { retry: { ...patient, maximumAttempts: 5 } } as const;
export const tidyOptions: ActivityOptions = { ...lightOptions, ...fewTries };

/** A page is for people: what a run goes on with does not wait for it longer than for an hour and a half. */
export const reportOptions: ActivityOptions = {
  ...lightOptions,
  startToCloseTimeout: '30m',
  retry: { ...patient, maximumAttempts: 3 },
};

export const trainOptions: ActivityOptions = {
  taskQueue: deviceQueue,
  // A shard is minutes; this only ends one that waits for the store without end. Its commits stay.
  startToCloseTimeout: '1d',
  // Steps run in another process, so the worker beats through them, every second: silence is a worker that was killed.
  // Its device stands still until this is over, unless the next worker on its machine says so before (left-attempts.ts).
  heartbeatTimeout: '8s',
  // A cancelled shard commits what it has, and says at which step.
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: patient,
};

/** Slots of rounds before a phase continues as new: each is up to six events. */
export const slotsOfOneHistory = 800;

export const replicaOptions: ActivityOptions = {
  ...trainOptions,
  // One that is late is not waited for: what it would hand in is not asked for any more.
  cancellationType: 'TRY_CANCEL',
};

/** A merge reads what replicas handed in and writes a checkpoint: minutes on a slow link, hours on a bad one. */
export const mergeOptions: ActivityOptions = { ...lightOptions, startToCloseTimeout: '1d' };

/** Scoring is spread over all workers; more than these would only wait in the queue. */
export const scoresAtOnce = 64;

export const scoreOptions: ActivityOptions = {
  taskQueue: deviceQueue,
  startToCloseTimeout: '6h',
  heartbeatTimeout: '15s',
  // A shard is quickly scored again: nothing is waited for when the phase is to stop.
  cancellationType: 'TRY_CANCEL',
  retry: patient,
};

export const evaluateOptions: ActivityOptions = {
  taskQueue: deviceQueue,
  // Embedding the evaluation set is minutes, on the slowest of machines an hour or two.
  startToCloseTimeout: '6h',
  heartbeatTimeout: '15s',
  retry: patient,
};

export const annotateOptions: ActivityOptions = {
  ...scoreOptions,
  taskQueue: annotateQueue,
  // A detector takes seconds for a picture where it has no GPU, and a shard has thousands.
  startToCloseTimeout: '7d',
};

/** Parts of a pack likewise are spread over all workers, and are each a few events. */
export const packsAtOnce = 64;
export const packsOfOneHistory = 500;
/** Pictures that one comparison holds. */
export const picturesOfPartition = 100_000;

export const packOptions: ActivityOptions = {
  // A listing of a hundred million names takes hours, and begins anew when its worker is killed.
  startToCloseTimeout: '1d',
  heartbeatTimeout: '15s',
  // A part is quickly packed again: nothing is waited for when the pack is to stop.
  cancellationType: 'TRY_CANCEL',
  retry: patient,
};
