import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type CheckpointToCommit, commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { requireWhole } from '../../src/checkpoint/marks.ts';
import { pin } from '../../src/checkpoint/pins.ts';
import { deleteCheckpoint } from '../../src/checkpoint/retention.ts';
import { sweepBase, sweepRun } from '../../src/checkpoint/sweep.ts';
import type { Commit } from '../../src/checkpoint/types.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { startServer } from '../storage/versitygw.ts';
import {
  type Actor,
  type Exploration,
  everyInterleaving,
  replay,
  type Scheduled,
  type World,
} from './interleavings.ts';
import { makeSnapshot } from './snapshot.ts';

/** Also what is written while a sweep is under way, by the clock of a store that tells whole seconds. */
const allIsOld = -60_000;

// What is looked at once more is waited for between the two looks: here nothing changes by itself meanwhile.
vi.mock('node:timers/promises', async (original) => {
  const real = await original<typeof import('node:timers/promises')>();
  return { ...real, setTimeout: (ms: number) => (vi.isFakeTimers() ? Promise.resolve() : real.setTimeout(ms)) };
});

// Random names are counted: a schedule that is done again meets the same.
const names = vi.hoisted(() => ({ next: 0 }));
vi.mock('node:crypto', async (original) => {
  const real = await original<typeof import('node:crypto')>();
  return { ...real, randomBytes: () => Buffer.from(String(names.next++).padStart(12, '0'), 'hex') };
});

const run = 'met';
const at = { run, phase: 'pretrain', revision: 0, step: 10 };
let snapshot: CheckpointToCommit;
/** Of a phase with adapters: its only file is one that others have too. */
let adapted: CheckpointToCommit;
/** Times are in documents, and times that differ would be states that differ. */
const stopTime = () => void vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-01T00:00:00Z') });
beforeAll(async () => {
  stopTime();
  const whole = await makeSnapshot({ run, step: 10, attempt: 'a' }, { floats: 4 });
  snapshot = { ...whole, state: whole.state.slice(0, 1), sidecars: [] };
  await copyFile(join(whole.folder, 'model.safetensors'), join(whole.folder, 'base.safetensors'));
  adapted = { ...snapshot, state: [{ ...snapshot.state[0]!, path: 'base.safetensors' }] };
});
afterAll(() => {
  vi.useRealTimers();
});

type Told = { readonly held: Commit } | { readonly gone: boolean };

const committer: Actor<Told> = async (store) => ({ held: (await commitCheckpoint(store, snapshot)).commit });
const adapter: Actor<Told> = async (store) => ({ held: (await commitCheckpoint(store, adapted)).commit });
const sweeper: Actor<Told> = async (store) => {
  return { gone: (await sweepRun(store, run, { graceMs: allIsOld })).prefixes.length > 0 };
};
const baseSweeper: Actor<Told> = async (store) => {
  const { run, phase, revision } = adapted;
  return { gone: await sweepBase(store, { run, phase, revision, sha256: adapted.state[0]!.sha256 }) };
};
const pinner: Actor<Told> = async (store) => ({ held: await pin(store, at, 'borrower') });
const deleter: Actor<Told> = async (store) => ({ gone: await deleteCheckpoint(store, at) });

function inMemory(prepare: (store: ObjectStore) => Promise<unknown>) {
  return async (): Promise<World> => {
    names.next = 0;
    const store = new MemoryStore();
    await prepare(store);
    return {
      store,
      contents: () =>
        [...store.objects]
          .sort()
          .map(([key, body]) => `${key} ${body}`)
          .join('\n'),
    };
  };
}

/** Whoever was told that it holds a checkpoint finds it readable, also after everybody has tidied up. */
async function heldIsThere({ outcomes, world: { store } }: Parameters<Exploration<Told>['check']>[0]): Promise<void> {
  await sweepRun(store, run, { graceMs: allIsOld });
  for (const outcome of outcomes) {
    if (!('value' in outcome) || !('held' in outcome.value)) continue;
    const commit = await readCommit(store, at);
    expect(commit).toEqual(outcome.value.held);
    await requireWhole(store, commit);
  }
}

const uploaded = (store: ObjectStore) => cutOff(store, snapshot);
const uploadedBase = (store: ObjectStore) => cutOff(store, adapted);
const cutOff = async (store: ObjectStore, checkpoint: CheckpointToCommit) => {
  // What an attempt has left that was cut off before its commit, and comes back.
  const dies = (point: string) => {
    if (point === 'manifest') throw new Error('cut off');
  };
  await commitCheckpoint(store, checkpoint, { onPoint: dies }).catch(() => {});
};
const committed = (store: ObjectStore) => commitCheckpoint(store, snapshot);
const nothing = async () => {};

const cases: [string, Exploration<Told>, { states: number; both: boolean }][] = [
  [
    'a sweep and a commit',
    { world: inMemory(nothing), actors: [committer, sweeper], check: heldIsThere },
    { states: 3000, both: true },
  ],
  [
    'a sweep that may die and the commit of an attempt that was cut off before',
    { world: inMemory(uploaded), actors: [committer, sweeper], mortal: [1], check: heldIsThere },
    { states: 1500, both: true },
  ],
  [
    'a deletion that may die and a pin',
    { world: inMemory(committed), actors: [pinner, deleter], mortal: [1], check: heldIsThere },
    { states: 280, both: true },
  ],
  [
    'a sweep of what adapters are of, which may die, and the commit of an attempt that was cut off before',
    { world: inMemory(uploadedBase), actors: [adapter, baseSweeper], mortal: [1], check: heldIsThere },
    { states: 200, both: true },
  ],
];

const held = ({ outcomes: [first] }: Scheduled<Told>) => first !== undefined && 'value' in first;

describe('in every order of their requests', () => {
  it.each(cases)(
    '%s: what someone was told to hold is there at the end',
    async (_, of, least) => {
      const { states, ends } = await everyInterleaving(of);
      expect(states).toBeGreaterThan(least.states);
      // Both win in some order, and who loses is told so in a way that it knows.
      const gone = ends.filter(
        ({ outcomes: [, second] }) => second && 'value' in second && 'gone' in second.value && second.value.gone,
      );
      expect(gone.length).toBeGreaterThan(0);
      expect(ends.filter(held).length).toBeGreaterThan(0);
      for (const { outcomes } of ends)
        for (const outcome of outcomes)
          if ('error' in outcome)
            expect(outcome.error).toMatchObject({
              code: expect.stringMatching(/^(CheckpointDamaged|StorageUnavailable)$/),
            });
    },
    120_000,
  );
});

describe('a real store', () => {
  it('answers each request of such a schedule as the one in memory does', async () => {
    vi.useRealTimers();
    const server = await startServer();
    const store = server.store();
    const prepare = [nothing, uploaded, committed, uploadedBase];
    try {
      for (const [i, [, of]] of cases.entries()) {
        stopTime();
        const { ends } = await everyInterleaving(of);
        // It knows the time, and when something was written.
        vi.useRealTimers();
        for (let end = 0; end < ends.length; end += Math.ceil(ends.length / 4)) {
          for await (const { key } of store.list('runs/')) await store.purge(key);
          const world = async () => {
            names.next = 0;
            await prepare[i]!(store);
            return { store, contents: () => '' };
          };
          const there = await replay({ ...of, world }, ends[end]!.moves);
          expect(there.trace).toEqual(ends[end]!.trace);
        }
      }
    } finally {
      await server.stop();
    }
  }, 120_000);
});
