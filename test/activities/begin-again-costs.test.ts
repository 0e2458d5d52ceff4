import { expect, it } from 'vitest';
import { beginPhase } from '../../activities/begin-phase.ts';
import { toDocument } from '../../src/checkpoint/documents.ts';
import { nothingUsed } from '../../src/costs/used.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { hands, planOf } from './fixture.ts';

it('a phase that is begun again counts on from what it had used when its run ended', async () => {
  const [store, on] = [new MemoryStore(), hands()];
  const plan = await planOf(store, 'again');
  const begin = () => beginPhase(on.deps(store), { plan, parent: null, revision: 0 }, on.attempt());
  expect(await begin()).toEqual({ revision: 0, from: null, notes: [] });
  const used = { ...nothingUsed, ms: { trained: 1000 }, cost: { trained: 2 } };
  const told = { version: 1, events: [], spent: { deviceMs: 1000, began: 0, used } };
  await store.put('runs/again/pretrain/history.json', toDocument(told));
  expect(await begin()).toEqual({ revision: 0, from: null, notes: [], used });
  await on.close();
});
