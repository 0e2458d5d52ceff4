import { type ErrorCode, isRunnerError, RunnerError } from './errors.ts';

/** An error on its way between threads, whose messages know no classes. */
export interface ThreadError {
  readonly type: 'failed';
  readonly code: string | null;
  readonly message: string;
  readonly details: Record<string, unknown>;
}

export function toThreadError(error: unknown): ThreadError {
  if (isRunnerError(error))
    return { type: 'failed', code: error.code, message: error.message, details: { ...error.details } };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { type: 'failed', code: null, message, details: {} };
}

export function fromThreadError({ code, message, details }: ThreadError): Error {
  return code === null ? new Error(message) : new RunnerError(code as ErrorCode, message, { details });
}
