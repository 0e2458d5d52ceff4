import { expect, it } from 'vitest';
import { AskedThread } from '../../src/runtime/asked-thread.ts';
import type { Death, MortalSettings } from './mortal-thread.ts';

const module = new URL('./mortal-thread.ts', import.meta.url).href;

function open(deaths: number) {
  const left = new Int32Array(new SharedArrayBuffer(4)).fill(deaths);
  const notes: string[] = [];
  const gone: number[] = [];
  const thread = new AskedThread<MortalSettings, Death, Int32Array>(
    { module, settings: { left: left.buffer as SharedArrayBuffer } },
    { name: 'the thread', note: (text) => notes.push(text), ended: (id) => gone.push(id) },
  );
  return { thread, notes, gone };
}

it.each([
  ['exit', 'the thread ended with code 3'],
  ['throw', 'the thread ended with code 1: outside of any question'],
] as const)(
  'a thread that dies by %s is replaced, and asked again all that it had not answered',
  async (death, how) => {
    const { thread, notes, gone } = open(2);
    const answers = await Promise.all([thread.ask(death), thread.ask('none')]);
    expect(answers).toEqual([Int32Array.of(7), Int32Array.of(7)]);
    expect(notes).toEqual(Array(2).fill(`${how}; another takes its place`));
    // Each has its own number, and none of them still runs.
    expect(new Set(gone).size).toBe(2);
    expect(gone.every((id) => id > 0)).toBe(true);
    await thread.close();
  },
);

it('what ends three threads in turn is refused as something that may be tried again; others are answered, and so is what comes after it', async () => {
  const { thread } = open(3);
  const [lethal, other] = await Promise.allSettled([thread.ask('exit'), thread.ask('exit')]);
  const error = {
    code: 'TrainerCrashed',
    retryable: true,
    message: 'the thread ended with code 3, and so did two others before it, over the same work',
  };
  expect([lethal, other].map((one) => (one as PromiseRejectedResult).reason)).toMatchObject([error, error]);
  expect(await thread.ask('none')).toEqual(Int32Array.of(7));
  await expect(thread.ask('refuse')).rejects.toThrow('no answer to that');
  await thread.close();
  await expect(thread.ask('none')).rejects.toThrow('the thread is closed');
});
