import { describe, expect, it } from 'vitest';
import { type LeaseEnd, type LeaseWish, TrainerPool } from '../../src/trainer/pool.ts';

const never = new AbortController().signal;
/** Trainers that say of a state whether they hold it. */
function pool(count = 2) {
  const states = new Map<string, string>();
  const one = (name: string) => ({ name, trainer: { holds: (sha256: string) => states.get(name) === sha256 } });
  const trainers = Array.from({ length: count }, (_, i) => one(`cpu-${i}`));
  return { states, trainers: new TrainerPool(trainers) };
}

describe('a trainer is leased', () => {
  it('to one attempt at a time, and those that wait have it in their order', async () => {
    const { trainers } = pool();
    const [a, b] = [await trainers.lease({ work: 'a' }, never), await trainers.lease({ work: 'b' }, never)];
    expect([a.of.name, b.of.name]).toEqual(['cpu-0', 'cpu-1']);
    const got: string[] = [];
    const waits = ['c', 'd'].map((work) =>
      trainers.lease({ work }, never).then((lease) => {
        got.push(`${work} ${lease.of.name}`);
        return lease;
      }),
    );
    await Promise.resolve();
    expect(got).toEqual([]);
    b.release('done');
    // What is given back twice is not given to two.
    b.release('done');
    await waits[0];
    expect(got).toEqual(['c cpu-1']);
    a.release('done');
    await waits[1];
    expect(got).toEqual(['c cpu-1', 'd cpu-0']);
  });

  it('to nobody who does not wait any more', async () => {
    const { trainers } = pool(1);
    const first = await trainers.lease({ work: 'a' }, never);
    const gone = new AbortController();
    const left = trainers.lease({ work: 'b' }, gone.signal);
    const stays = trainers.lease({ work: 'c' }, never);
    gone.abort(new Error('cancelled'));
    await expect(left).rejects.toThrow('cancelled');
    await expect(trainers.lease({ work: 'd' }, gone.signal)).rejects.toThrow('cancelled');
    first.release('done');
    const lease = await stays;
    lease.release('done');
    expect((await trainers.lease({ work: 'e' }, never)).of.name).toBe('cpu-0');
  });

  it('best where the state is held, then where the slot was, then its work, and what others had is left to them', async () => {
    const { states, trainers } = pool(4);
    const had = async (work: string, slot?: number, state?: string) => {
      const lease = await trainers.lease({ work, slot, state }, never);
      lease.release('done');
      return lease.of.name;
    };
    const slots = await Promise.all([0, 1].map((slot) => trainers.lease({ work: 'run/a', slot }, never)));
    for (const slot of slots) slot.release('done');
    expect(slots.map(({ of }) => of.name)).toEqual(['cpu-0', 'cpu-1']);
    expect(await had('run/a', 1)).toBe('cpu-1');
    expect(await had('run/a', 0)).toBe('cpu-0');
    // Another slot of the same work: the one that has rested longer has its graph too.
    expect(await had('run/a', 5)).toBe('cpu-1');
    // Other work begins with one that has none, and stays there.
    expect(await had('run/b')).toBe('cpu-2');
    expect(await had('run/c')).toBe('cpu-3');
    expect(await had('run/b')).toBe('cpu-2');
    expect(await had('run/d')).toBe('cpu-0');
    states.set('cpu-3', 'held');
    expect(await had('run/a', 1, 'held')).toBe('cpu-3');
    expect(await had('run/a', 1, 'not held')).toBe('cpu-3');
  });

  it('last of all where it failed, whatever it holds, until it has done something', async () => {
    const { states, trainers } = pool();
    const had = async (end: LeaseEnd, wish: LeaseWish = { work: 'run/a', slot: 0, state: 'held' }) => {
      const lease = await trainers.lease(wish, never);
      lease.release(end);
      return lease.of.name;
    };
    states.set('cpu-0', 'held');
    expect(await had('failed')).toBe('cpu-0');
    // Its retry gets the other one, and that keeps the slot.
    expect(await had('done')).toBe('cpu-1');
    expect(await had('done', { work: 'run/b' })).toBe('cpu-1');
    const busy = await trainers.lease({ work: 'run/b' }, never);
    // The only one that is free: what was stopped there has shown nothing, what was done has.
    expect(await had('stopped')).toBe('cpu-0');
    busy.release('done');
    expect(await had('done')).toBe('cpu-1');
    const again = await trainers.lease({ work: 'run/b' }, never);
    expect(await had('done')).toBe('cpu-0');
    again.release('done');
    expect(await had('done')).toBe('cpu-0');
  });
});
