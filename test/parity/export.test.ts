import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEmbedder } from '../../src/model/embed.ts';
import { type ExportedModel, texts, writeExport } from './export-folder.ts';

/** What transformers answered to the same folder: check_export.py. */
const answer = JSON.parse(readFileSync(new URL('fixtures/export.json', import.meta.url), 'utf8')) as {
  transformers: string;
  files: Record<string, string>;
  input_ids: number[][];
  logits_per_image: number[][];
};

let folder: string;
let exported: ExportedModel;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-export-'));
  exported = await writeExport(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('an exported folder, opened by transformers', () => {
  it('still has the files that the answer was given for; if not, ask again with check_export.py', async () => {
    const files = (await readdir(folder)).filter((name) => name.endsWith('.json') && name !== 'inputs.json').sort();
    const hash = (name: string) =>
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex');
    expect(Object.fromEntries(files.map((name) => [name, hash(name)]))).toEqual(answer.files);
  });

  it.each(texts.map((text, i) => [text, i] as const))('has the ids of training for %j', (_, i) => {
    const { length } = exported.model.text;
    expect([...exported.tokens.slice(i * length, (i + 1) * length)]).toEqual(answer.input_ids[i]);
  });

  it('gives the logits of our own forward pass to 1e-4', async () => {
    const embedder = await openEmbedder(folder, exported.model, exported.vocabulary);
    const images = embedder.images(exported.images);
    const words = embedder.texts(exported.tokens);
    embedder.dispose();
    const width = exported.model.vision.width;
    const logits = answer.logits_per_image.map((row, i) =>
      row.map((_, j) => {
        let cosine = 0;
        for (let k = 0; k < width; k++) cosine += images[i * width + k]! * words[j * width + k]!;
        return cosine * embedder.temperature + embedder.logitBias;
      }),
    );
    const expected = answer.logits_per_image.flat();
    // They differ from one another by far more than from ours.
    expect(Math.max(...expected) - Math.min(...expected)).toBeGreaterThan(1);
    const differences = logits.flat().map((logit, i) => Math.abs(logit - expected[i]!));
    expect(Math.max(...differences)).toBeLessThan(1e-4);
  });
});
