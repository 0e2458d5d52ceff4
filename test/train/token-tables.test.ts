import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Values } from '../../src/compile/definition.ts';
import { initialise } from '../../src/model/initialise.ts';
import { tokenTable } from '../../src/model/parameters.ts';
import { fullVocabulary } from '../../src/model/sizes.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { openKeptRows } from '../../src/train/kept-rows.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { StateFiles } from '../../src/train/state-files.ts';
import { readUpdates } from '../../src/train/stored-updates.ts';
import { tinySettings } from './settings.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'siglip2-tokens-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const width = 2;
const tables = [tokenTable, 'decoder.embed_tokens.weight', 'decoder.lm_head.weight', 'decoder.lm_head.bias'] as const;
const sizes: Readonly<Record<string, number>> = Object.fromEntries(tables.map((name) => [name, width]));
const sizeOf = (name: string) => (name === 'decoder.lm_head.bias' ? 1 : sizes[name]!);

/** A phase with a decoder, and a table of these tokens, or of all. */
const phase = (vocabulary: readonly number[] | null): PhaseSettings => ({
  ...tinySettings,
  model: {
    vision: { width: 6, depth: 1, mlp: 5, heads: 2, patch: 2, resolution: 4 },
    text: { width, depth: 1, mlp: 3, heads: 1, length: 4, vocabulary: vocabulary?.length ?? fullVocabulary },
  },
  objectives: { sigmoid: { weight: 1 }, captioning: { weight: 1, depth: 1, chunk: 4 } },
  batches: { ...tinySettings.batches, vocabulary },
});

/** As after training: no number is what it was, and no two phases have the same. */
function trained(settings: PhaseSettings, number: number): Values {
  const { pieces } = phaseState(settings);
  const values = Object.entries(pieces).map(([name, { shape }], piece) => {
    const all = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < all.length; i++) all[i] = 1 + number + ((i * 31 + piece) % 65_521) / 65_536;
    return [name, all] as const;
  });
  return Object.fromEntries(values);
}

/** What was last trained of each row, by a loop over phases: whole tables, and a row more for that of no token. */
class Rows {
  readonly #tables = new Map(tables.map((name) => [name, new Float32Array((fullVocabulary + 1) * sizeOf(name))]));

  set(values: Values, ids: readonly number[]): void {
    for (const [name, table] of this.#tables)
      for (const [row, id] of [...ids, fullVocabulary].entries()) {
        const size = sizeOf(name);
        table.set(values[name]!.subarray(row * size, (row + 1) * size), id * size);
      }
  }

  of(name: (typeof tables)[number], ids: readonly number[]): Float32Array {
    const size = sizeOf(name);
    const table = this.#tables.get(name)!;
    const rows = new Float32Array(ids.length * size);
    for (const [row, id] of ids.entries()) rows.set(table.subarray(id * size, (id + 1) * size), row * size);
    return rows;
  }
}
const isSame = (a: Values[string], b: Float32Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));

it('each row is what a phase last trained of it, in whatever tables it went on: whole, compacted, another, whole again', async () => {
  const everything = Array.from({ length: fullVocabulary }, (_, id) => id);
  const maps = [null, [0, 1, 3, 7, 500, 255_999], [0, 1, 3, 8, 501], [0, 1, 3, 7, 8, 250_000], null];
  const latest = new Rows();
  let from: string | null = null;
  for (const [i, ids] of maps.entries()) {
    const settings = phase(ids);
    const own = ids ?? everything;
    if (from) {
      const values = await readState(from, settings);
      for (const name of tables) {
        const wanted = name === 'decoder.embed_tokens.weight' ? [...own, fullVocabulary] : own;
        expect(isSame(values[name]!, latest.of(name, wanted)), `${name} of table ${i}`).toBe(true);
      }
      // Moments of rows that the phase before did not train are none, and have seen nothing.
      const before = maps[i - 1] ?? everything;
      const { own: counts } = await readUpdates(from, settings, { step: 40, within: false });
      const known = new Set(before);
      const expected = Int32Array.from(own, (id) => (known.has(id) ? 40 : 0));
      const found = counts['decoder.lm_head.bias'];
      if (expected.every((count) => count === 40)) expect(found).toBe(undefined);
      else expect(Buffer.from(found!.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
      for (const [row, id] of own.entries())
        if (!known.has(id) && row < 10) expect(values['v/decoder.lm_head.bias']![row]).toBe(0);
    }
    const values = trained(settings, i);
    const kept = from ? await openKeptRows(from, settings) : null;
    const folder = join(scratch, `chain-${i}`);
    await mkdir(folder);
    // The files stay open: they may be gone from the disk meanwhile.
    if (from) await rm(from, { recursive: true });
    await writeState(folder, settings, values, { kept });
    await kept?.close();
    latest.set(values, own);
    from = folder;
  }
  await rm(from!, { recursive: true });
}, 120_000);

it('a row that nothing ever trained starts as in a fresh phase, and a fresh phase keeps nothing', async () => {
  const [first, second] = [phase([0, 1, 3, 7]), phase([0, 1, 3, 9])];
  const start = freshState(first);
  const folder = join(scratch, 'fresh');
  await mkdir(folder);
  await writeState(folder, first, start);
  const files = await StateFiles.open(folder);
  expect(files.kept.tokens).toBe(0);
  await files.close();
  const values = await readState(folder, second);
  for (const spec of phaseState(second).parameters.filter(({ byToken }) => byToken)) {
    const fresh = initialise(second.seed, spec);
    const size = sizeOf(spec.name);
    const of = (row: number) => values[spec.name]!.slice(row * size, (row + 1) * size);
    expect(of(3), spec.name).toEqual(fresh.slice(3 * size, 4 * size));
    for (const row of [0, 1, 2]) expect(of(row)).toEqual(start[spec.name]!.slice(row * size, (row + 1) * size));
  }
});
