import { WorkflowNotFoundError } from '@temporalio/common';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { followLog, type State, stateOf } from '../../src/commands/follow-log.ts';
import { LogReader } from '../../src/run-logs/read.ts';
import { logsHere, place, speaker } from '../run-logs/fixture.ts';

let here: ReturnType<typeof logsHere>;
beforeEach(() => {
  here = logsHere();
});
afterEach(() => here.close());

/** Follows while at each wait one more line arrives; returns what was shown and how long was waited. */
async function followed(states: State[], isRead = () => true) {
  const shown: string[] = [];
  const waits: number[] = [];
  const arrive = async (text: string) => {
    const logs = await here.open();
    logs.at(place, speaker).say('info', {}, text);
    await logs.close(1000);
  };
  await followLog(new LogReader(here.store, place), ({ text }) => shown.push(text), {
    state: async () => states.shift()!,
    since: undefined,
    isRead,
    async wait(ms) {
      waits.push(ms);
      await arrive(`line ${waits.length}`);
    },
  });
  return { shown, waits, left: states };
}

it('follows a run to its end, and gives its last lines the time to come', async () => {
  const { shown, waits } = await followed(['open', 'open', 'ended just now', 'open']);
  expect(shown).toEqual(['line 1', 'line 2', 'line 3']);
  expect(waits).toEqual([3000, 3000, 8000]);
});

it('waits for nothing of a run that has long ended, nor of one that nobody knows, nor when nobody reads', async () => {
  expect(await followed(['ended', 'open'])).toMatchObject({ waits: [], left: ['open'] });
  expect(await followed(['unknown', 'open'])).toMatchObject({ waits: [], left: ['open'] });
  let reads = 2;
  expect(await followed(['open', 'open', 'open'], () => reads-- > 0)).toMatchObject({ waits: [3000, 3000] });
});

it('a phase is asked for by its own workflow, then by that of its run; an outage is no end', async () => {
  const asked: string[] = [];
  const clientOf = (known: Record<string, object | Error>) => ({
    workflow: {
      getHandle: (id: string) => ({
        async describe() {
          asked.push(id);
          const found = known[id] ?? new WorkflowNotFoundError('not found', id, undefined);
          if (found instanceof Error) throw found;
          return found;
        },
      }),
    },
  });
  const state = (known: Record<string, object | Error>, of: { run: string; phase?: string } = place) =>
    stateOf(clientOf(known) as never, of);
  const running = { status: { name: 'RUNNING' } };
  const done = (ago: number) => ({ status: { name: 'COMPLETED' }, closeTime: new Date(Date.now() - ago) });
  expect(await state({ pets: running })).toBe('open');
  expect(asked).toEqual(['pets/pretrain', 'pets']);
  expect(await state({ 'pets/pretrain': done(1000), pets: running })).toBe('ended just now');
  expect(await state({ pets: done(100_000) }, { run: 'pets' })).toBe('ended');
  expect(await state({})).toBe('unknown');
  expect(await state({ pets: new Error('away') })).toBe('open');
});
