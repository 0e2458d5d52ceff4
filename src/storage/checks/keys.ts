import { type Bench, type Check, keysUnder, must } from './check.ts';

const group = 'keys';
const without = 'data whose names have such characters could not be read, and their listing would be wrong';

const names: Readonly<Record<string, string>> = {
  'a space': 'two words',
  'a plus': 'a+b',
  'a percent sign': '100%25%2F',
  'letters of other scripts': 'é-漢字-ß',
  'an emoji': 'cat-\u{1F431}',
  'what XML and HTML quote': `a&b<c>"d"'e'`,
  'what a URL has for itself': 'a?b#c=d;e:f@g,h',
  'what signatures quote': "a!b*c(d)e~f'g",
  'a dot at its start': '.hidden/.keys',
};

async function livesAs({ store, key }: Bench, name: string): Promise<undefined> {
  const at = key(`names/${name}`);
  await store.put(at, name);
  must((await store.head(at))?.bytes === Buffer.byteLength(name), 'it is not found under its name');
  must(String(await store.get(at)) === name, 'another content comes back');
  const listed = await keysUnder(store, key('names/'));
  must(listed.length === 1 && listed[0] === at, `a list says ${JSON.stringify(listed).slice(0, 200)}`);
  await store.copy(at, key('copied'));
  must(String(await store.get(key('copied'))) === name, 'a copy has another content');
  await store.delete(at);
  must((await store.head(at)) === null, 'it can not be deleted');
}

export const keyChecks: readonly Check[] = [
  ...Object.entries(names).map(
    ([what, name]): Check => ({ group, what: `a key may have ${what}`, without, run: (bench) => livesAs(bench, name) }),
  ),
  {
    group,
    what: 'a key may be 700 bytes long',
    without: 'runs and phases with long names would fail at their first commit',
    run: (bench) => livesAs(bench, Array.from({ length: 7 }, (_, i) => String(i).repeat(90)).join('/')),
  },
  {
    group,
    what: 'keys that differ in case are two',
    without: 'runs named Pets and pets would be one',
    async run({ store, key }) {
      await store.put(key('Case'), 'upper');
      await store.put(key('case'), 'lower');
      must(String(await store.get(key('Case'))) === 'upper', 'one has written over the other');
      return undefined;
    },
  },
];
