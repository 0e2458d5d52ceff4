import type { ChildProcessWithoutNullStreams } from 'node:child_process';

/** How a program ended, and all that it wrote: `out` to stdout, `said` to stderr. */
export interface Answer {
  readonly code: number | null;
  readonly out: string;
  readonly said: string;
}

export function answerOf(child: ChildProcessWithoutNullStreams): Promise<Answer> {
  let [out, said] = ['', ''];
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    said += data;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, said })));
}
