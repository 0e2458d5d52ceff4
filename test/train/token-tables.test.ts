import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Values } from '../../src/compile/definition.ts';
import { initialise } from '../../src/model/initialise.ts';
import { tokenTable } from '../../src/model/parameters.ts';
import { fullVocabulary } from '../../src/model/sizes.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';
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

/** As after training: no number is what it was. */
function trained(settings: PhaseSettings, of: string): Values {
  const { pieces } = phaseState(settings);
  return Object.fromEntries(
    Object.entries(pieces).map(([name, { shape }]) => {
      const random = randomStream(1, `${of}/${name}`);
      return [name, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.next() + 0.5)];
    }),
  );
}

/** What was last trained of each row, by a loop over phases; the mask's has no token. */
class Rows {
  readonly #rows = new Map<string, Float32Array>();
  set(values: Values, ids: readonly number[]): void {
    for (const name of tables)
      for (const [row, id] of [...ids, 'mask'].entries()) {
        const found = (values[name] as Float32Array).slice(row * sizeOf(name), (row + 1) * sizeOf(name));
        if (found.length > 0) this.#rows.set(`${name} ${id}`, found);
      }
  }
  of(name: string, ids: readonly (number | 'mask')[]): (Float32Array | undefined)[] {
    return ids.map((id) => this.#rows.get(`${name} ${id}`));
  }
}
const rowsIn = (values: Values, name: string) =>
  Array.from({ length: values[name]!.length / sizeOf(name) }, (_, row) =>
    (values[name] as Float32Array).slice(row * sizeOf(name), (row + 1) * sizeOf(name)),
  );

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
        const wanted = name === 'decoder.embed_tokens.weight' ? [...own, 'mask' as const] : own;
        expect(rowsIn(values, name), `${name} of table ${i}`).toEqual(latest.of(name, wanted));
      }
      // Moments of rows that the phase before did not train are none, and have seen nothing.
      const before = maps[i - 1] ?? everything;
      const { own: counts } = await readUpdates(from, settings, { step: 40, within: false });
      const known = new Set(before);
      const expected = own.map((id) => (known.has(id) ? 40 : 0));
      expect([...(counts['decoder.lm_head.bias'] ?? expected)]).toEqual(expected);
      expect(counts['decoder.lm_head.bias'] === undefined).toBe(expected.every((count) => count === 40));
      for (const [row, id] of own.entries())
        if (!known.has(id) && row < 10) expect(values['v/decoder.lm_head.bias']![row]).toBe(0);
    }
    const values = trained(settings, String(i));
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
}, 60_000);

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
