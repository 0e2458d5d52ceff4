import { CancelledFailure } from '@temporalio/common';
import type { TrainerJob } from '../src/trainer/protocol.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { requireTrainer } from './train-from.ts';

/** Of what is asked, for the log, and who hears what is being done, for heartbeats. */
export interface Told {
  readonly of: object;
  readonly tell: (doing: string) => void;
}

/**
 * What a job answers that is no training: embeddings, features, figures. What it says on the way goes to `tell`, for heartbeats,
 * and to the log with `of`. CancelledFailure when it was stopped before `what`.
 */
export async function askTrainer<T>(
  deps: Dependencies,
  { signal }: Pick<Attempt, 'signal'>,
  job: Exclude<TrainerJob, { kind: 'train' }>,
  { of, what, tell }: Told & { readonly what: string },
): Promise<T> {
  tell('waiting for the device');
  const note = (text: string) => {
    tell(text);
    deps.log.info(of, text);
  };
  const answer = (await requireTrainer(deps).run(job, { note }, signal)) as T | null;
  if (answer === null) throw new CancelledFailure(`stopped before ${what}`);
  return answer;
}
