import { type Check, keysUnder, must } from './check.ts';

const group = 'lists';
const order = 'the newest checkpoint and the order of data shards are taken from a list: both could be wrong';
const whole = 'checkpoints and shards would be overlooked';
const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

async function putAll(put: (key: string, body: string) => Promise<unknown>, keys: readonly string[]): Promise<void> {
  await Promise.all(keys.map((key) => put(key, 'here')));
}

const told = (keys: readonly string[], prefix: string) =>
  keys
    .map((key) => key.slice(prefix.length))
    .join(', ')
    .slice(0, 200);

export const listChecks: readonly Check[] = [
  {
    group,
    what: 'a list is in the order of the bytes of its keys',
    without: order,
    async run({ store, key }) {
      const names = ['B', 'a', 'a-1', 'a.1', 'a0', 'a1', 'a10', 'a2', 'aB', 'a_1', 'b', 'é', '漢'];
      const keys = names.map(key).sort(byBytes);
      await putAll((at, body) => store.put(at, body), [...keys].reverse());
      const got = await keysUnder(store, key(''));
      must(got.join('\n') === keys.join('\n'), `${told(got, key(''))} is listed`);
      return undefined;
    },
  },
  {
    group,
    what: 'keys in folders are in that order too',
    without: order,
    async run({ store, key }) {
      const keys = ['a/1', 'a/2', 'a-b/1', 'a.b/1', 'a0/1'].map(key).sort(byBytes);
      await putAll((at, body) => store.put(at, body), [...keys].reverse());
      const got = await keysUnder(store, key(''));
      must(got.join('\n') === keys.join('\n'), `${told(got, key(''))} is listed`);
      return undefined;
    },
  },
  {
    group,
    what: 'a list over several pages has each key once, in order',
    without: whole,
    async run({ small, key }) {
      const keys = Array.from({ length: 11 }, (_, i) => key(`step-${String(i).padStart(8, '0')}`));
      await putAll((at, body) => small.put(at, body), keys);
      const got = await keysUnder(small, key(''));
      must(got.join('\n') === keys.join('\n'), `${got.length} keys are listed for 11: ${told(got, key(''))}`);
      return undefined;
    },
  },
  {
    group,
    what: 'pages go on after keys that a URL has to quote',
    without: whole,
    async run({ small, key }) {
      const keys = ['a b', 'a%20b', 'a&b', 'a+b', 'aéb', 'a/b', 'a/b c'].map(key).sort(byBytes);
      await putAll((at, body) => small.put(at, body), keys);
      const got = await keysUnder(small, key(''));
      must(got.join('\n') === keys.join('\n'), `${told(got, key(''))} is listed`);
      return undefined;
    },
  },
  {
    group,
    what: 'a list has what begins with its prefix alone',
    without: 'runs whose names begin alike would be mixed up, and swept together',
    async run({ store, key }) {
      await putAll((at, body) => store.put(at, body), ['pets/1', 'pets/2', 'pets-old/1', 'pet/1'].map(key));
      const got = await keysUnder(store, key('pets/'));
      must(got.join() === [key('pets/1'), key('pets/2')].join(), `${told(got, key(''))} is listed`);
      return undefined;
    },
  },
  {
    group,
    what: 'a list of nothing is empty',
    without: whole,
    async run({ store, key }) {
      must((await keysUnder(store, key('nothing/'))).length === 0, 'something is listed');
      return undefined;
    },
  },
  {
    group,
    what: 'a list tells sizes and times',
    without: 'data that has changed would go unnoticed, and nothing would be old enough to be swept',
    async run({ store, key }) {
      await store.put(key('object'), 'twelve bytes');
      for await (const { bytes, modified } of store.list(key(''))) {
        must(bytes === 12, `${bytes} bytes are told for 12`);
        must(modified.getTime() > 0, 'no time is told');
        return undefined;
      }
      must(false, 'nothing is listed');
    },
  },
  {
    group,
    what: 'what is written is listed at once, 20 times',
    without: 'the newest checkpoint would be overlooked, and its steps trained again',
    async run({ store, key }) {
      for (let i = 1; i <= 20; i++) {
        await store.put(key(`${i}`), 'here');
        const { length } = await keysUnder(store, key(''));
        must(length === i, `${length} keys are listed when ${i} are written`);
      }
      return undefined;
    },
  },
  {
    group,
    what: 'what is deleted is no longer listed, 10 times',
    without: 'what was pruned would be taken for a checkpoint',
    async run({ store, key }) {
      for (let i = 0; i < 10; i++) {
        await store.put(key('object'), 'here');
        await store.delete(key('object'));
        must((await keysUnder(store, key(''))).length === 0, 'it is still listed');
      }
      return undefined;
    },
  },
];
