import { setImmediate as turnOfEvents } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSelector, type SelectorSettings } from '../../src/curation/selector.ts';
import { openSelectorThread, type SelectorThread } from '../../src/curation/selector-thread.ts';
import { candidatesOf } from './candidates.ts';

const settings: SelectorSettings = {
  candidates: 400,
  picks: 180,
  chunks: 16,
  scores: 'learnability',
  joint: true,
  learnerWidth: 6,
  teacherWidth: 10,
  seed: 11,
  phase: 'acid',
};
const inputs = (step: number) => ({
  step,
  learner: candidatesOf(400, 6, `learner ${step}`),
  teacher: candidatesOf(400, 10, `teacher ${step}`),
});

let thread: SelectorThread;
beforeAll(async () => {
  thread = await openSelectorThread(settings);
});
afterAll(async () => {
  await thread.close();
});

describe('a selection in a thread of its own', () => {
  it('is that of the same selector in this thread, call after call, and takes the embeddings with it', async () => {
    const here = openSelector(settings);
    for (const step of [1, 2, 3]) {
      const given = inputs(step);
      expect(await thread.select(given)).toEqual(await here.select(inputs(step)));
      expect([given.learner.images.length, given.teacher.texts.length]).toEqual([0, 0]);
    }
    here.dispose();
  });

  it('goes on while this thread is blocked', async () => {
    // In this thread each of 15 sums would wait for a turn of the event loop. Blocked for how long, no test can know.
    for (let ms = 50; ; ms *= 2) {
      expect(ms, 'it was never there after the block').toBeLessThan(20_000);
      let there = false;
      const selecting = thread.select(inputs(4)).then(() => {
        there = true;
      });
      for (const end = performance.now() + ms; performance.now() < end; );
      for (let turn = 0; turn < 2; turn++) await turnOfEvents();
      if (there) break;
      await selecting;
    }
  });

  it('fails as the selector does, and chooses again after that', async () => {
    const broken = inputs(6);
    broken.learner.images[100] = Number.NaN;
    await expect(thread.select(broken)).rejects.toMatchObject({ code: 'NonFinite', details: { step: 6 } });
    expect((await thread.select(inputs(6))).picked).toHaveLength(180);
    await expect(openSelectorThread({ ...settings, picks: 401 })).rejects.toMatchObject({ code: 'RecipeInvalid' });
  });

  it('is refused once it is closed, and who waits is told', async () => {
    const other = await openSelectorThread(settings);
    const waiting = other.select(inputs(7));
    const closed = other.close();
    await expect(waiting).rejects.toThrow('the thread that selects is closed');
    await closed;
    await expect(other.select(inputs(7))).rejects.toThrow('is closed');
  });
});
