import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sweep } from '../../activities/prune-checkpoints.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { holdBorrowed, recordedOrigins, teacherOf } from '../../src/checkpoint/borrowed.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { findCommits } from '../../src/checkpoint/commits.ts';
import { dueHolder, pin, pinsOf } from '../../src/checkpoint/pins.ts';
import { deleteCheckpoint } from '../../src/checkpoint/retention.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { remove } from '../../src/commands/remove.ts';
import { begunWith, checkpointFor, wantedOf } from '../../src/plan/origin.ts';
import type { Recipe } from '../../src/recipe/schema.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { makeSnapshot } from '../checkpoint/snapshot.ts';
import { rot } from '../storage/rot.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { type Hands, hands } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let origin: CheckpointRef;
let teacher: CheckpointRef;
beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  const lent = async (phase: string) =>
    commitCheckpoint(store, await makeSnapshot({ run: 'lender', phase, step: 10, attempt: 'a' }));
  [origin, teacher] = [(await lent('pretrain')).ref, (await lent('large')).ref];
});
afterAll(async () => {
  await on.close();
  await server.stop();
});

const never = async () => false;
const always = async () => true;
const holders = async () =>
  (await Promise.all(['pretrain', 'large'].map((phase) => pinsOf(store, { run: 'lender', phase }))))
    .flat()
    .map(({ who }) => who);
const removed = async (what: string, name: { run: string; phase?: string }) => {
  const lines: string[] = [];
  for await (const line of remove(store, what, name, true)) lines.push(line);
  return lines;
};
const plan = (run: string) =>
  ({
    run,
    phase: 'acid',
    origin: { checkpoint: origin },
    curation: { teacher: { checkpoint: teacher } },
  }) as unknown as PhasePlan;

describe('what a run has borrowed, origin and teacher', () => {
  const borrowed = () => ({ acid: origin, [teacherOf('acid')]: teacher });

  it('is let go of when the phase has ended, however that was', async () => {
    await holdBorrowed(store, 'one', borrowed(), never);
    expect(await holders()).toEqual(['one.acid', 'one.acid.teacher']);
    await sweep(on.deps(store), { run: 'one', plan: plan('one') }, on.attempt());
    expect(await holders()).toEqual([]);
  });

  it('is let go of when the run has ended, also by phases that never began', async () => {
    await holdBorrowed(store, 'two', borrowed(), never);
    await sweep(on.deps(store), { run: 'two' }, on.attempt());
    expect(await holders()).toEqual([]);
  });

  it('is let go of with a run that is removed, so that the lender can be removed too', async () => {
    await holdBorrowed(store, 'three', borrowed(), never);
    await holdBorrowed(store, 'three.acid', { acid: origin }, never);
    await expect(removed('lender', { run: 'lender' })).rejects.toThrow(
      'held are lender/large@10 by three.acid.teacher, lender/pretrain@10 by three.acid.acid, lender/pretrain@10 by three.acid;',
    );
    expect(await removed('three', { run: 'three' })).toEqual([
      'runs/three/  and all that lies there, 1 object',
      'deleted',
    ]);
    expect(await holders()).toEqual(['three.acid.acid']);
    await removed('three.acid', { run: 'three.acid' });
  });

  it('is held again when the run goes on, and is not needed any more by a phase with checkpoints of its own', async () => {
    const gone = (await commitCheckpoint(store, await makeSnapshot({ run: 'gone', step: 10, attempt: 'a' }))).ref;
    await holdBorrowed(store, 'four', { acid: gone }, never);
    await sweep(on.deps(store), { run: 'four' }, on.attempt());
    await holdBorrowed(store, 'four', { acid: gone }, never);
    expect((await pinsOf(store, gone)).map(({ who }) => who)).toEqual(['four.acid']);
    await sweep(on.deps(store), { run: 'four' }, on.attempt());
    await deleteCheckpoint(store, gone);
    await expect(holdBorrowed(store, 'four', { acid: gone }, never)).rejects.toMatchObject({
      code: 'CheckpointDamaged',
    });
    await holdBorrowed(store, 'four', { acid: gone }, always);
  });
});

describe('the record of what a run began with', () => {
  const recipe = { phases: [{ name: 'acid', from: { run: 'lender', phase: 'pretrain' } }] } as unknown as Recipe;

  const findBorrowed = async (run: string) => {
    const began = await begunWith(store, run);
    const found = wantedOf(recipe).map(async (one) => [
      one.name,
      (await began(one)) ?? (await checkpointFor(store, one)),
    ]);
    return Object.fromEntries(await Promise.all(found)) as Record<string, CheckpointRef>;
  };

  it('is written anew when it is damaged, by the pins that still hold, and by nothing newer', async () => {
    await holdBorrowed(store, 'five', { acid: origin }, never);
    const newer = await makeSnapshot({ run: 'lender', phase: 'pretrain', step: 20, attempt: 'a' });
    await commitCheckpoint(store, newer);
    rot(server, 'runs/five/data/origins.json', 'zeros, as after a power loss');
    const found = await findBorrowed('five');
    expect(found).toEqual({ acid: origin });
    await holdBorrowed(store, 'five', found, never);
    expect(await recordedOrigins(store, 'five')).toEqual({ acid: origin });
    // Without a pin nobody knows.
    await sweep(on.deps(store), { run: 'five' }, on.attempt());
    rot(server, 'runs/five/data/origins.json', 'a flipped bit');
    await expect(findBorrowed('five')).rejects.toMatchObject({ code: 'DataContract' });
    expect(await findBorrowed('six')).toMatchObject({ acid: { step: 20 } });
  });
});

describe('rm', () => {
  it('of a run lets go of what its own phases hold in it, and of nothing that others hold', async () => {
    for (const run of ['own', 'held']) {
      const { ref } = await commitCheckpoint(store, await makeSnapshot({ run, step: 10, attempt: 'a' }));
      await store.put(`runs/${run}/data/finer-settings-0123456789abcdef.json`, '{}');
      for (const who of [`${run}.finer`, 'best', 'early-stopping', dueHolder('pets')]) await pin(store, ref, who);
      if (run === 'held') await pin(store, ref, 'a.person');
    }
    expect((await removed('own', { run: 'own' })).at(-1)).toBe('deleted');
    await expect(removed('held', { run: 'held' })).rejects.toThrow(
      /^rm held is refused: held are held\/pretrain@10 by a.person;/,
    );
    expect(await findCommits(store, { run: 'held' })).toHaveLength(1);
  });

  it('of one checkpoint is refused where its run still wants it', async () => {
    const { ref } = await commitCheckpoint(store, await makeSnapshot({ run: 'wanted', step: 10, attempt: 'a' }));
    await pin(store, ref, dueHolder('pets'));
    const at = { run: 'wanted', phase: ref.phase, step: 10 };
    await expect(removed('wanted/pretrain@10', at)).rejects.toThrow('by due-pets;');
  });

  it('keeps a checkpoint that someone pins while it goes, with all that belongs to it', async () => {
    const { ref } = await commitCheckpoint(store, await makeSnapshot({ run: 'raced', step: 10, attempt: 'a' }));
    const lines: string[] = [];
    const late = new Proxy(store, {
      get(target, name) {
        const value = target[name as keyof S3ObjectStore];
        if (name !== 'list') return typeof value === 'function' ? value.bind(target) : value;
        return async function* (prefix: string) {
          // After the command has looked for pins, and before it deletes.
          if (prefix.endsWith('/pins/') && ++looks === 2) await pin(store, ref, 'late');
          yield* target.list(prefix);
        };
      },
    });
    let looks = 0;
    for await (const line of remove(late, 'raced', { run: 'raced' }, true)) lines.push(line);
    expect(lines).toEqual([
      'raced/pretrain@10  kept: someone has just pinned it',
      'not all is deleted: type rm raced --yes again',
    ]);
    expect((await pin(store, ref, 'late')).sha256).toBe(ref.sha256);
  });
});
