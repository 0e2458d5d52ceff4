import { ContinueAsNew, isCancellation, setDefaultSignalHandler, setHandler, workflowInfo } from '@temporalio/workflow';
import { clearFailure, sentence } from './failures.ts';
import { type PhaseState, statusOf, statusQuery } from './messages.ts';

/**
 * A workflow that prepares data and is steered by nothing: `status` tells what it is doing, and how it ended.
 *
 * @param given its input, and what the history before this one handed on: of the first history that is somebody's mistake
 * @param first what it does at first
 */
export async function preparing<C, R>(
  given: readonly [unknown?, C?],
  first: string,
  work: (input: unknown, before: C | undefined, say: (doing: string) => void) => Promise<R>,
): Promise<R> {
  const { workflowId: run, continuedFromExecutionRunId } = workflowInfo();
  const [input, before] = continuedFromExecutionRunId === undefined ? [given[0]] : given;
  let state: PhaseState = 'planning';
  let failure: string | null = null;
  let doing: string | null = before ? 'going on' : first;
  const show = () => ({ ...statusOf(run, state, null, 1, failure, workflowInfo().unsafe.now()), doing });
  setHandler(statusQuery, show);
  // A signal that makes no sense must not fail it.
  setDefaultSignalHandler(() => {});
  try {
    const report = await work(input, before, (text) => {
      doing = text;
    });
    state = 'done';
    doing = null;
    return report;
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    state = isCancellation(error) ? 'stopped' : 'failed';
    if (state === 'failed') failure = sentence(error);
    throw clearFailure(error);
  }
}

/** Works for `from` to `to`, as many at once as there may be workers. */
export async function fanOut(
  from: number,
  to: number,
  atOnce: number,
  work: (n: number) => Promise<void>,
): Promise<void> {
  let next = from;
  async function lane(): Promise<void> {
    while (next < to) await work(next++);
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, to - from) }, lane));
}
