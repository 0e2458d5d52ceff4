import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embed } from '../../src/commands/embed.ts';
import { kinds, snippetOf, writeCardFolder } from './card-folder.ts';

/** What the examples of the cards said and printed when they were run: run_card.py. */
const answers = JSON.parse(readFileSync(new URL('fixtures/card.json', import.meta.url), 'utf8')) as Record<
  (typeof kinds)[number],
  { snippet: string; printed: string }
>;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-card-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the example of a model card', () => {
  it.each(kinds)('is the one that was run, and printed what embed says: %s', async (kind) => {
    const own = join(folder, kind);
    await writeCardFolder(own, kind);
    const { snippet, printed } = answers[kind];
    expect(snippetOf(await readFile(join(own, 'README.md'), 'utf8'))).toBe(snippet);
    const text = ['a red apple', 'a green frog'];
    const { logits_per_text } = await embed({ model: own, image: [join(own, 'image.png')], text });
    const numbers = /\[\[(.*?)\]\]/.exec(printed)![1]!.split(',').map(Number);
    expect(numbers).toHaveLength(2);
    for (const [i, number] of numbers.entries())
      expect(1 / (1 + Math.exp(-logits_per_text[i]![0]!))).toBeCloseTo(number, 3);
  });
});
