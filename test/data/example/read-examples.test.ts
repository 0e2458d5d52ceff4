import { expect, it } from 'vitest';
import { collectTokenIds } from '../../../src/data/example/token-ids.ts';
import { loadTokenizer } from '../../../src/data/example/tokenizer.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { longestGap } from '../gaps.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

const tokenizer = loadTokenizer();

async function indexOf(metas: readonly object[]) {
  const store = new MemoryStore();
  const members = metas.flatMap((meta, i) => [
    { name: `${i}.png`, body: 'image' },
    { name: `${i}.json`, body: JSON.stringify(meta) },
  ]);
  await store.put('d/1.tar', tarOf(members));
  return { store, index: await indexData(store, 'd') };
}

it('a table holds the tokens of all labels and tags in their language, wherever they come in a text', async () => {
  const { store, index } = await indexOf([
    { captions: { en: ['dog', 'pet'], de: ['Hund'] } },
    { captions: { en: ['cat'] } },
  ]);
  const texts = ['dog', 'dog, pet', 'dog,', ', pet,', 'cat', 'cat,'];
  const expected = new Set([0, 1, 3, ...texts.flatMap((text) => tokenizer.ids(text))]);
  expect(await collectTokenIds(store, index, ['en'])).toEqual([...expected].sort((a, b) => a - b));
});

it('captions of a megabyte cost no more than a long one, and timers wait for none of them', async () => {
  const size = 1_000_000;
  const letters = Array.from({ length: size }, (_, i) => 'qwertzuiopasdfghjklyxcvbnm'[(i * i + (i >> 3)) % 26]).join(
    '',
  );
  const chinese = Array.from({ length: 300_000 }, (_, i) => String.fromCodePoint(0x4e00 + (i % 20_000))).join('');
  const captions = [letters, chinese, ' '.repeat(size), '<'.repeat(size), 'a'.repeat(size), 'ab '.repeat(size / 3)];
  const { store, index } = await indexOf([
    ...captions.map((caption) => ({ captions: { en: [caption] } })),
    { captions: { en: Array.from({ length: 100_000 }, (_, i) => `t${i % 300}`) } },
  ]);
  const { value, gapMs } = await longestGap(() => collectTokenIds(store, index, ['en'], { captioning: true }));
  expect(value).toEqual(expect.arrayContaining(tokenizer.ids(', t299')));
  expect(value).toEqual(expect.arrayContaining(tokenizer.ids(letters, 64)));
  expect(gapMs).toBeLessThan(1000);
});
