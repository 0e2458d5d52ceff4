import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { diskError } from '../src/runtime/disk.ts';
import { isRunnerError } from '../src/runtime/errors.ts';

/** A fault that nobody foresaw may pass; one that stays is a bug, and not worth hours. */
const attemptsOfUnexpected = 5;

/**
 * An error as Temporal keeps it: the one sentence, the code as type, no stack. What trying again can't mend is not
 * retried.
 *
 * @param hasOthers whether the next attempt may have another device of this worker than the one that is missing
 */
export function toFailure(thrown: unknown, attempt: number, hasOthers = false): Error {
  const error = diskError(thrown, (thrown as NodeJS.ErrnoException | null)?.path ?? 'a local file');
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (isRunnerError(error)) {
    const elsewhere = hasOthers && error.code === 'DeviceMissing' && attempt < attemptsOfUnexpected;
    return plain({
      message: error.message,
      type: error.code,
      nonRetryable: !(error.retryable || elsewhere) || error.details.final === true,
      details: [error.details],
    });
  }
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
  if (name === 'AbortError') return new CancelledFailure('stopped');
  const first = message.split('\n')[0];
  return plain({ message: `${name}: ${first}`, type: 'Unexpected', nonRetryable: attempt >= attemptsOfUnexpected });
}

/** Of an attempt whose worker ended before it had a result: the next one is made at once, wherever there is a worker. */
export const workerEnded = ({ message }: Error): ApplicationFailure =>
  plain({ message: `the worker ended: ${message}`, type: 'Unexpected', nextRetryDelay: '100ms' });

function plain(options: Parameters<typeof ApplicationFailure.create>[0]): ApplicationFailure {
  const failure = ApplicationFailure.create(options);
  // Stacks are in the worker's log; whoever reads a failed workflow gets the sentence.
  failure.stack = '';
  return failure;
}
