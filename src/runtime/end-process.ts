import { reportError } from './report-error.ts';

const outputs = [process.stdout, process.stderr] as const;
const closed = new Set<NodeJS.WritableStream>();

for (const stream of outputs) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (closed.has(stream)) return;
    closed.add(stream);
    // Whoever read the output has seen enough (`| head`). The work goes on to its end, and its exit code tells of that.
    if (error.code === 'EPIPE') return;
    reportError(new Error(`the output can't be written: ${error.message}`));
  });
}

/** True while somebody may read what a command prints. */
export const isRead = () => !closed.has(process.stdout);

/**
 * Ends this process, once all that it wrote has been taken: a pipe holds 64 KiB, and `process.exit` alone throws away
 * what still waits for the reader. Needed because a connection that a library keeps for later would keep a finished
 * command alive.
 */
export async function endProcess(): Promise<never> {
  await Promise.all(outputs.map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))));
  process.exit();
}
