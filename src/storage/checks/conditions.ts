import { isRunnerError } from '../../runtime/errors.ts';
import { type Bench, type Check, must, mustLose } from './check.ts';

const group = 'conditions';
const twice = 'two workers could both commit one step';
const lost = 'figures, claims and marks of two workers would overwrite each other';

export const conditionChecks: readonly Check[] = [
  {
    group,
    what: 'a key that is free can be created (If-None-Match)',
    without: twice,
    async run({ store, key }) {
      await store.put(key('object'), 'first', { ifAbsent: true });
      must(String(await store.get(key('object'))) === 'first', 'it is not there');
      return undefined;
    },
  },
  {
    group,
    what: 'a key that is taken can not be created again (If-None-Match)',
    without: twice,
    async run({ store, key }) {
      await store.put(key('object'), 'first', { ifAbsent: true });
      await mustLose(store.put(key('object'), 'second', { ifAbsent: true }), 'a second creation');
      must(
        String(await store.get(key('object'))) === 'first',
        'it was refused, and has replaced the first all the same',
      );
      return undefined;
    },
  },
  {
    group,
    what: 'an object that any write made can not be created again',
    without: twice,
    async run({ store, key }) {
      await store.put(key('object'), '');
      await mustLose(store.put(key('object'), 'second', { ifAbsent: true }), 'a creation over an empty object');
      return undefined;
    },
  },
  {
    group,
    what: 'a key whose object was deleted can be created again',
    without: 'a checkpoint that was swept could never be made again',
    async run({ store, key }) {
      await store.put(key('object'), 'first', { ifAbsent: true });
      await store.delete(key('object'));
      await store.put(key('object'), 'second', { ifAbsent: true });
      must(String(await store.get(key('object'))) === 'second', 'the first is there again');
      return undefined;
    },
  },
  {
    group,
    what: 'of 8 creations at once one wins, 3 times',
    without: twice,
    async run(bench) {
      for (let round = 0; round < 3; round++) await race(bench, `${round}`, { ifAbsent: true });
      return undefined;
    },
  },
  {
    group,
    what: 'the version that is there can be replaced (If-Match)',
    without: lost,
    async run({ store, key }) {
      const { etag } = await store.put(key('object'), 'first');
      await store.put(key('object'), 'second', { ifMatch: etag });
      must(String(await store.get(key('object'))) === 'second', 'the first is still there');
      return undefined;
    },
  },
  {
    group,
    what: 'a version that is no longer there can not be replaced (If-Match)',
    without: lost,
    async run({ store, key }) {
      const { etag } = await store.put(key('object'), 'first');
      await store.put(key('object'), 'second', { ifMatch: etag });
      await mustLose(store.put(key('object'), 'third', { ifMatch: etag }), 'a write with a stale ETag');
      must(
        String(await store.get(key('object'))) === 'second',
        'it was refused, and has replaced the second all the same',
      );
      return undefined;
    },
  },
  {
    group,
    what: 'an object that was deleted can not be replaced (If-Match)',
    without: 'what was swept meanwhile would come back',
    async run({ store, key }) {
      const { etag } = await store.put(key('object'), 'first');
      await store.delete(key('object'));
      const got = await store.put(key('object'), 'second', { ifMatch: etag }).then(
        () => null,
        (error) => error,
      );
      must(got !== null, 'the write was taken');
      if (!isRunnerError(got, 'PreconditionFailed') && !isRunnerError(got, 'ObjectMissing')) throw got;
      return undefined;
    },
  },
  {
    group,
    what: 'of 8 replacements of one version at once one wins, 3 times',
    without: lost,
    async run(bench) {
      for (let round = 0; round < 3; round++) {
        const { etag } = await bench.store.put(bench.key(`${round}`), 'first');
        await race(bench, `${round}`, { ifMatch: etag });
      }
      return undefined;
    },
  },
  {
    group,
    what: 'four that count up by compare-and-swap lose no count',
    without: lost,
    async run({ store, key }) {
      await store.put(key('count'), '0');
      const countOnce = async () => {
        for (let tries = 0; tries < 200; tries++) {
          const before = (await store.head(key('count')))!;
          // By that version: another one may have come between head and get.
          const count = await store.get(key('count'), { etag: before.etag }).catch((error) => {
            if (isRunnerError(error, 'DataContract')) return null;
            throw error;
          });
          if (count === null) continue;
          try {
            await store.put(key('count'), String(Number(count) + 1), { ifMatch: before.etag });
            return;
          } catch (error) {
            if (!isRunnerError(error, 'PreconditionFailed')) throw error;
          }
        }
      };
      await Promise.all(
        Array.from({ length: 4 }, async () => {
          for (let i = 0; i < 5; i++) await countOnce();
        }),
      );
      const counted = String(await store.get(key('count')));
      must(counted === '20', `${counted} was counted for 20`);
      return undefined;
    },
  },
];

/** Eight writes at once: one is taken, and its content stays. */
async function race({ store, key }: Bench, name: string, condition: { ifAbsent?: boolean; ifMatch?: string }) {
  const bodies = Array.from({ length: 8 }, (_, i) => `writer ${i}`);
  const outcomes = await Promise.allSettled(bodies.map((body) => store.put(key(name), body, condition)));
  const won = bodies.filter((_, i) => outcomes[i]!.status === 'fulfilled');
  for (const outcome of outcomes)
    if (outcome.status === 'rejected' && !isRunnerError(outcome.reason, 'PreconditionFailed')) throw outcome.reason;
  must(won.length === 1, `${won.length} of 8 won`);
  const stayed = String(await store.get(key(name)));
  must(stayed === won[0], `${won[0]} won, and the content is that of ${stayed}`);
}
