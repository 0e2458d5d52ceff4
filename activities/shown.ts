import type { Shard } from './shard.ts';

/** What the metrics endpoint shows of a shard at work: the figures of its last step, and how old its checkpoint is. */
export function shownOf({ live, newest, pace, input: { plan } }: Shard): Record<string, number> {
  const { objectives = {}, figures = {}, dataWaitShare, ...rest } = live;
  const every = pace?.checkpointEvery ?? plan.checkpointEvery;
  return {
    ...rest,
    data_wait_ratio: dataWaitShare,
    ...objectives,
    ...figures,
    step_timestamp_seconds: Date.now() / 1000,
    ...(typeof every === 'number' && { checkpoint_every_steps: every }),
    last_commit_step: newest?.step ?? plan.from.step,
    ...(newest && { last_commit_timestamp_seconds: Date.parse(newest.committed) / 1000 }),
  };
}
