import { answer } from '../../src/runtime/answer.ts';

/** What ends the thread, and how often; then it answers. */
export interface MortalSettings {
  /** Times that are left. */
  readonly left: SharedArrayBuffer;
}
export type Death = 'none' | 'exit' | 'throw' | 'refuse';

answer<MortalSettings, Death, Int32Array>(
  ({ left }) =>
    (death) => {
      if (death === 'refuse') throw new Error('no answer to that');
      if (death === 'none' || Atomics.sub(new Int32Array(left), 0, 1) <= 0) return Int32Array.of(7);
      if (death === 'exit') process.exit(3);
      setTimeout(() => {
        throw new Error('outside of any question');
      });
      return new Promise(() => {});
    },
  (made) => [made],
);
