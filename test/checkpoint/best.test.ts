import { afterAll, beforeAll, expect, it } from 'vitest';
import { keepBest, readBest } from '../../src/checkpoint/best.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { toRef } from '../../src/checkpoint/documents.ts';
import { pin, pinsOf, unpin } from '../../src/checkpoint/pins.ts';
import { deleteCheckpoint, pruneCheckpoints } from '../../src/checkpoint/retention.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { makeSnapshot } from './snapshot.ts';

let server: TestServer;
let store: S3ObjectStore;
beforeAll(async () => {
  server = await startServer();
  store = server.store();
});
afterAll(() => server.stop());

const phase = 'pretrain';
const figure = 'pets retrieval mean.text_to_image.r1';

async function committed(run: string, steps: readonly number[]) {
  const refs = [];
  for (const step of steps) {
    await commitCheckpoint(store, await makeSnapshot({ run, step, revision: 0, attempt: `a${step}` }));
    refs.push(toRef(await readCommit(store, { run, phase, step, revision: 0 })));
  }
  return refs;
}
const heldOf = async (run: string) =>
  (await pinsOf(store, { run, phase })).map(({ step, who }) => `${step} ${who}`).sort();

it('the best checkpoint stays whatever is pruned, and the one before is let go of', async () => {
  const [first, second, third] = await committed('one', [10, 20, 30]);
  expect(await keepBest(store, first!, { figure, value: 0.2 })).toMatchObject({ step: 10, value: 0.2 });
  expect(await keepBest(store, second!, { figure, value: 0.3 })).toMatchObject({ step: 20 });
  expect(await heldOf('one')).toEqual(['20 best']);
  // Neither a lower figure, nor an equal one that came later, nor the same again changes that.
  expect(await keepBest(store, third!, { figure, value: 0.3 })).toMatchObject({ step: 20 });
  expect(await keepBest(store, first!, { figure, value: 0.2 })).toMatchObject({ step: 20 });
  expect(await keepBest(store, second!, { figure, value: 0.3 })).toMatchObject({ step: 20 });
  expect(await heldOf('one')).toEqual(['20 best']);
  await committed('one', [40, 50]);
  await pruneCheckpoints(store, { run: 'one', phase }, { newest: 1, steps: [], used: [] });
  expect((await readCommit(store, second!)).step).toBe(20);
  await expect(readCommit(store, first!)).rejects.toThrow(/is missing/);
  expect(await readBest(store, { run: 'one', phase })).toMatchObject({ step: 20, figure, sha256: second!.sha256 });
  // Another figure in the recipe begins anew.
  const [last] = await committed('one', [60]);
  expect(await keepBest(store, last!, { figure: 'pets knn k20.top1', value: 0.1 })).toMatchObject({ step: 60 });
  expect(await heldOf('one')).toEqual(['60 best']);
});

it('evaluations that end in any order, and all at once, hold the same one', async () => {
  const refs = await committed('many', [10, 20, 30, 40, 50, 60]);
  const values = [0.1, 0.4, 0.2, 0.4, 0.3, 0.1];
  const order = [4, 3, 0, 1, 5, 2];
  await Promise.all(order.map((i) => keepBest(store, refs[i]!, { figure, value: values[i]! })));
  expect(await readBest(store, { run: 'many', phase })).toMatchObject({ step: 20, value: 0.4 });
  // Whoever comes last sees all of them.
  await keepBest(store, refs[2]!, { figure, value: 0.2 });
  expect(await heldOf('many')).toEqual(['20 best']);
});

it('a checkpoint that is gone is not kept', async () => {
  const [first] = await committed('gone', [10, 20, 30]);
  await pruneCheckpoints(store, { run: 'gone', phase }, { newest: 1, steps: [], used: [] });
  await expect(keepBest(store, first!, { figure, value: 1 })).rejects.toThrow(/gone\/pretrain@10/);
  expect(await readBest(store, { run: 'gone', phase })).toBeNull();
  expect(await heldOf('gone')).toEqual([]);
});

it('a best checkpoint that another has let go of meanwhile is held again', async () => {
  const [worse, better] = await committed('race', [10, 20]);
  await keepBest(store, worse!, { figure, value: 0.2 });
  // The worse one is looked at again; as it is about to let go of a pin that it saw, the better one wins and is done.
  const slow = new Proxy(store, {
    get(target, name) {
      if (name !== 'purge') return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name);
      return async (key: string) => {
        if (key.includes('pins/') && key.includes('20')) await keepBest(target, better!, { figure, value: 0.4 });
        return target.purge(key);
      };
    },
  });
  await pin(store, better!, 'best');
  await keepBest(slow, worse!, { figure, value: 0.2 });
  expect(await readBest(store, { run: 'race', phase })).toMatchObject({ step: 20 });
  expect(await heldOf('race')).toEqual(['20 best']);
});

it('where the best checkpoint was removed, another one takes its place', async () => {
  const [first, second] = await committed('removed', [10, 20]);
  await keepBest(store, second!, { figure, value: 0.9 });
  await unpin(store, second!, 'best');
  await deleteCheckpoint(store, second!);
  expect(await keepBest(store, first!, { figure, value: 0.1 })).toMatchObject({ step: 10, value: 0.1 });
  expect(await heldOf('removed')).toEqual(['10 best']);
});
