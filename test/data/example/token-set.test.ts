import { describe, expect, it } from 'vitest';
import { collectTokenIds } from '../../../src/data/example/token-ids.ts';
import { decodeTokenSet, encodeTokenSet, TokenSet, tokenSetKey } from '../../../src/data/example/token-set.ts';
import { loadTokenizer } from '../../../src/data/example/tokenizer.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { foreign, readSchema } from '../../../src/recipe/reading.ts';
import { RunnerError } from '../../../src/runtime/errors.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

const words = ['aardvark', 'bassoon', 'cathedral', 'dandelion', 'espresso', 'farthing', 'gazebo', 'harpsichord'];

async function storeOf(shards: number): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (let shard = 0; shard < shards; shard++) {
    const members = [0, 1].flatMap((i) => [
      { name: `${i}.png`, body: 'image' },
      { name: `${i}.txt`, body: `${words[2 * shard + i]} and friends` },
    ]);
    await store.put(`d/${shard}.tar`, tarOf(members));
  }
  return store;
}

/** Objects that are read while `work` runs, by their keys. */
async function readBy<T>(store: MemoryStore, work: () => Promise<T>): Promise<{ value: T; read: string[] }> {
  const read: string[] = [];
  store.beforeGet = (key) => void read.push(key);
  const value = await work();
  store.beforeGet = () => {};
  return { value, read };
}

const keysOf = (store: MemoryStore, ending: string) => [...store.objects.keys()].filter((key) => key.endsWith(ending));
const read = readSchema.parse({ captions: 'txt' });
const indexOf = (store: MemoryStore) => indexData(store, 'd', foreign(read));

describe('the token set of a shard', () => {
  it('is made once, and no text is read again while key and ETag hold', async () => {
    const store = await storeOf(3);
    const index = await indexOf(store);
    const plain = await collectTokenIds(store, index, ['en'], { read });
    expect(keysOf(store, '.tokens')).toEqual([]);
    expect(await collectTokenIds(store, index, ['en'], { read, keep: store })).toEqual(plain);
    expect(keysOf(store, '.tokens')).toHaveLength(3);
    // Languages in another order, and of a field that is drawn more often, come to the same tokens.
    const again = await readBy(store, () => collectTokenIds(store, index, ['en', 'en'], { read }));
    expect(again.value).toEqual(plain);
    expect(again.read.sort()).toEqual(keysOf(store, '.tokens').sort());
    await store.put('d/1.tar', await store.get('d/2.tar'));
    const changed = await indexOf(store);
    const other = await readBy(store, () => collectTokenIds(store, changed, ['en'], { read, keep: store }));
    expect(other.read.filter((key) => key.startsWith('d/'))).toEqual(['d/1.tar']);
    expect(plain).toEqual(expect.arrayContaining(other.value));
    expect(other.value.length).toBeLessThan(plain.length);
  });

  it('has the texts that are named as wrong where a phase meets them, in every template, and is another one then', async () => {
    const store = new MemoryStore();
    const json = JSON.stringify({ caption: 'aardvark', negatives: ['bassoon', 'gazebo'] });
    const members = [
      { name: '0.png', body: 'image' },
      { name: '0.json', body: json },
      { name: '1.png', body: 'image' },
      // What can't be read is in no batch.
      { name: '1.json', body: JSON.stringify({ caption: 'espresso', negatives: 'farthing' }) },
    ];
    await store.put('d/0.tar', tarOf(members));
    const templates = ['a photo of a {}'];
    const read = readSchema.parse({ captions: 'json', fields: [{ field: 'caption', weight: 1, templates }] });
    const index = await indexData(store, 'd', foreign(read));
    const tokens = async (negatives: boolean) =>
      new Set(await collectTokenIds(store, index, ['en'], { read, negatives, keep: store }));
    const [without, withThem] = [await tokens(false), await tokens(true)];
    const has = (ids: Set<number>, text: string) =>
      loadTokenizer()
        .ids(text)
        .every((id) => ids.has(id));
    for (const text of ['a photo of a bassoon', 'a photo of a gazebo']) {
      expect(has(withThem, text)).toBe(true);
      expect(has(without, text)).toBe(false);
    }
    expect(has(withThem, 'a photo of a espresso')).toBe(true);
    expect(has(withThem, 'farthing')).toBe(false);
    expect(keysOf(store, '.tokens')).toHaveLength(2);
  });

  it('is another one of other languages, templates, members, regions and captioning', async () => {
    const [shard, file] = [
      { key: 'd/0.tar', bytes: 9, etag: 'e' },
      { key: 'r/0.regions.jsonl', bytes: 5, etag: 'r' },
    ];
    const en = { languages: ['en'], captioning: false };
    const keys = [
      tokenSetKey(shard, undefined, null, en),
      tokenSetKey({ ...shard, etag: 'f' }, undefined, null, en),
      tokenSetKey(shard, { captions: 'txt', language: 'en' }, null, en),
      tokenSetKey(shard, undefined, null, { ...en, languages: ['en', 'de'] }),
      tokenSetKey(shard, undefined, null, { ...en, languages: ['en', 'other'] }),
      tokenSetKey(shard, undefined, null, { ...en, captioning: true }),
      tokenSetKey(shard, undefined, file, { ...en, captioning: true }),
      tokenSetKey(shard, undefined, { ...file, etag: 's' }, { ...en, captioning: true }),
      tokenSetKey(shard, undefined, null, { ...en, read: { ...read, templates: ['a photo of {}'] } }),
      tokenSetKey(shard, undefined, null, { ...en, read: { ...read, fields: [{ field: 'a', weight: 1 }] } }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    // What is drawn how often makes no difference, nor do regions that nothing says.
    expect(tokenSetKey(shard, undefined, file, { ...en, read })).toBe(keys[0]);
    const heavy = { ...read, draw: 'first' as const, fields: [{ field: 'a', weight: 7 }] };
    expect(tokenSetKey(shard, undefined, null, { ...en, read: heavy })).toBe(keys.at(-1));
  });

  it('that was damaged is made again, and adds no token in between', async () => {
    const store = await storeOf(1);
    const index = await indexOf(store);
    const wanted = await collectTokenIds(store, index, ['en'], { read, keep: store });
    const [key] = keysOf(store, '.tokens');
    const whole = Buffer.from(store.objects.get(key!)!);
    const damages = [Buffer.alloc(0), Buffer.from('<html>'.repeat(100)), whole.subarray(0, -1), whole.subarray(0, 30)];
    for (const at of [0, 9, 13, 40, whole.length - 20]) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 0x10;
      damages.push(flipped);
    }
    for (const damaged of damages) {
      store.objects.set(key!, damaged);
      expect(await collectTokenIds(store, index, ['en'], { read, keep: store })).toEqual(wanted);
      expect(store.objects.get(key!)).toEqual(whole);
    }
    // One of another shard is none of this one.
    const object = encodeTokenSet({ key: 'd/9.tar', bytes: 1, etag: 'x' }, new TokenSet());
    expect(decodeTokenSet(object, index.shards[0]!)).toBeNull();
  });

  it('is made for each who may not write it', async () => {
    const store = await storeOf(1);
    const index = await indexOf(store);
    const wanted = await collectTokenIds(store, index, ['en'], { read });
    const refused = async () => {
      throw new RunnerError('CredentialsRefused', 'AccessDenied');
    };
    expect(await collectTokenIds(store, index, ['en'], { read, keep: { put: refused } })).toEqual(wanted);
    expect(keysOf(store, '.tokens')).toEqual([]);
  });

  it('has at most 32 KB, whatever its ids are, and gives them back', () => {
    const shard = { key: 'd/0.tar', bytes: 9, etag: 'e' };
    const some = new TokenSet();
    const every = new TokenSet();
    for (let id = 0; id < 256_000; id++) {
      if ((id * id) % 7 === 2 || id === 255_999) some.add(id);
      every.add(id);
    }
    for (const set of [some, every, new TokenSet()]) {
      const object = encodeTokenSet(shard, set);
      expect(object.length).toBeLessThan(33_000);
      expect(decodeTokenSet(object, shard)!.ids).toEqual(set.ids);
    }
    expect(some.ids).toEqual(
      Array.from({ length: 256_000 }, (_, id) => id).filter((id) => (id * id) % 7 === 2 || id === 255_999),
    );
  });
});
