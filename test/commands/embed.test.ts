import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embed } from '../../src/commands/embed.ts';
import { type ExportedModel, texts, writeExport } from '../parity/export-folder.ts';
import { cliStart } from '../support/start.ts';

/** What transformers answered to the same folder, pictures and texts: test/parity/check_export.py. */
const answer = JSON.parse(readFileSync(new URL('../parity/fixtures/export.json', import.meta.url), 'utf8')) as {
  logits_per_image: number[][];
};

let folder: string;
let pictures: string[];
let exported: ExportedModel;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-embed-'));
  exported = await writeExport(folder);
  const { resolution } = exported.model.vision;
  const size = resolution * resolution * 3;
  pictures = answer.logits_per_image.map((_, i) => join(folder, `${i}.png`));
  for (const [i, file] of pictures.entries()) {
    const raw = { width: resolution, height: resolution, channels: 3 as const };
    await sharp(exported.images.subarray(i * size, (i + 1) * size), { raw })
      .png()
      .toFile(file);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('siglip2 embed', () => {
  it('gives a slow reader of its JSON every byte', async () => {
    const many = Array.from({ length: 420 }, (_, i) => `text ${i}`);
    const image = many.map((_, i) => pictures[i % pictures.length]!);
    const args = ['embed', '--model', folder, '--json', '--image', ...image, '--text', ...many];
    const child = spawn(process.execPath, [...cliStart, ...args], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const code = new Promise((resolve) => child.on('close', resolve));
    let text = '';
    for await (const chunk of child.stdout) {
      text += chunk;
      await delay(5);
    }
    expect(await code).toBe(0);
    expect(text.length).toBeGreaterThan(3_500_000);
    const { logits_per_text } = JSON.parse(text);
    expect([logits_per_text.length, logits_per_text.at(-1).length]).toEqual([420, 420]);
  });

  it('gives the logits of transformers for files and texts, and rows of length one', async () => {
    const found = await embed({ model: folder, image: pictures, text: texts, patches: 256 });
    expect(found.logits_per_text).toHaveLength(texts.length);
    for (const [t, row] of found.logits_per_text.entries())
      for (const [i, logit] of row.entries())
        expect(Math.abs(logit - answer.logits_per_image[i]![t]!)).toBeLessThan(1e-4);
    for (const row of [...found.image_embeds, ...found.text_embeds]) {
      expect(row).toHaveLength(exported.model.vision.width);
      expect(Math.hypot(...row)).toBeCloseTo(1, 5);
    }
  });

  it('takes images or texts alone, and says in a sentence what it can not use', async () => {
    const alone = await embed({ model: folder, text: ['a cat'], patches: 256 });
    expect([alone.text_embeds.length, alone.image_embeds, alone.logits_per_text]).toEqual([1, [], [[]]]);
    const options = { model: folder, patches: 256 };
    await expect(embed(options)).rejects.toThrow(/^nothing to embed: give --image/);
    await expect(embed({ ...options, image: [join(folder, 'none.png')] })).rejects.toThrow(
      /none.png can't be read \(ENOENT\)/,
    );
    await writeFile(join(folder, 'text.png'), 'no picture');
    await expect(embed({ ...options, image: [join(folder, 'text.png')] })).rejects.toThrow(/text.png is no picture/);
    await expect(embed({ ...options, text: ['x'], patches: 0.5 })).rejects.toThrow(
      /--max-num-patches takes a whole number/,
    );
    await expect(embed({ ...options, model: '/nowhere', text: ['x'] })).rejects.toThrow(
      /\/nowhere\/config.json is missing/,
    );
    await expect(embed({ ...options, model: 'tux2/pretrain@60', text: ['x'] })).rejects.toThrow(
      'there is no folder tux2/pretrain@60; for a checkpoint of the bucket type npm run siglip2 -- pull tux2/pretrain@60 DIR, and then DIR in its place',
    );
  });
});
