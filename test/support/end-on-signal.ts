import { exitCodes } from '../../src/runtime/exit-codes.ts';

/** Ends the process as its exit handlers want it: without this a signal would leave services and folders behind. */
export function endOnSignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => process.exit(exitCodes.interrupted.code));
}
