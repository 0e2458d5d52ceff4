import { setTimeout as delay } from 'node:timers/promises';
import { isGrpcServiceError } from '@temporalio/client';
import { grpcStatus } from '../runtime/grpc-status.ts';

/** The server is busy or away, and the workflow goes on without anybody who waits for it. */
const passing: ReadonlySet<number> = new Set([grpcStatus.deadlineExceeded, grpcStatus.unavailable]);

/** The result of a workflow, asked for again while the server is busy or away. Errors: those of the workflow, and refusals. */
export async function patientResult<T>(handle: { result(): Promise<T> }, pauseMs = 2000): Promise<T> {
  for (;;) {
    try {
      return await handle.result();
    } catch (error) {
      if (!isGrpcServiceError(error) || !passing.has(error.code)) throw error;
      await delay(pauseMs);
    }
  }
}
