import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchanges } from '../../src/rounds/exchange.ts';
import { type DeltaHead, deltaSize } from '../../src/rounds/layout.ts';
import { lengthOf, type RoundParameter } from '../../src/rounds/parameters.ts';
import { DeltaFile } from '../../src/rounds/read-delta.ts';
import { RowSet } from '../../src/rounds/rows.ts';
import { writeDelta } from '../../src/rounds/write-delta.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';
import { RoundFiles, type Values } from './files.ts';

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}.safetensors`, import.meta.url));
const small: RoundParameter[] = [
  { name: 'dense', shape: [4101], byRow: false },
  { name: 'table', shape: [9, 5], byRow: true },
];
// More than a piece of each kind, and every odd length.
const parameters: RoundParameter[] = [
  { name: 'logit_scale', shape: [1], byRow: false },
  { name: 'wide', shape: [3, 90_001], byRow: false },
  { name: 'table', shape: [53_000, 5], byRow: true },
];
const touched = [0, 1, 7, 8, 52_000, 52_999];

let files: RoundFiles;
let before: Values;
let after: Values;
beforeAll(async () => {
  files = await RoundFiles.make(parameters);
  before = made((i) => Math.sin(i));
  after = { ...made((i) => Math.sin(i) + 0.001 * Math.cos(3 * i)), table: before.table!.slice() };
  for (const row of touched) for (let i = 5 * row; i < 5 * row + 5; i++) after.table![i]! += 0.01 * (i % 7);
});
afterAll(async () => {
  await files.close();
  await rm(files.folder, { recursive: true });
});

const made = (of: (i: number) => number): Record<string, Float32Array> =>
  Object.fromEntries(
    parameters.map((one) => [one.name, Float32Array.from({ length: lengthOf(one) }, (_, i) => of(i))]),
  );
const head = (exchange: DeltaHead['exchange']): DeltaHead => ({ exchange, seed: 7, round: 2, from: 3, examples: 640 });

async function write(exchange: DeltaHead['exchange'], values = after, path = files.path()) {
  const [began, ended] = [await files.numbers(before), await files.numbers(values)];
  return { path, ...(await writeDelta(path, head(exchange), parameters, { before: began, after: ended })) };
}

describe('a file of changes', () => {
  test.each(['int4', 'int8'] as const)('of %s that numpy packed is read as numpy reads it', async (exchange) => {
    const file = await DeltaFile.open(fixture(exchange), small);
    const expected = await SafetensorsFile.open(fixture('expected'));
    expect(file.head).toEqual({ exchange, seed: 1, round: 2, from: 3, examples: 4 });
    for (const parameter of small) {
      const name = `${parameter.name}.${exchange === 'int4' ? 4 : 8}`;
      const numbers = new Float64Array((await expected.read(name)).buffer);
      const out = new Float64Array(lengthOf(parameter)).fill(9);
      await file.read(parameter, 0, out.length, out);
      const there = parameter.byRow ? [0, 2, 3, 8].flatMap((row) => [...out.subarray(5 * row, 5 * row + 5)]) : [...out];
      expect(there).toEqual([...numbers]);
    }
    await file.close();
    await expected.close();
  });

  test.each(exchanges)(
    'in %s holds the rows that changed and no others, in as many bytes as are told beforehand',
    async (exchange) => {
      const written = await write(exchange);
      expect(written.rows).toEqual({ table: touched.length });
      expect((await readFile(written.path)).length).toBe(written.bytes);
      expect(deltaSize(head(exchange), parameters, new Map([['table', touched.length]]))).toBe(written.bytes);
      const file = await files.delta(written.path);
      for (const parameter of parameters) {
        const out = new Float64Array(lengthOf(parameter));
        await file.read(parameter, 0, out.length, out);
        const [old, now] = [before[parameter.name]!, after[parameter.name]!];
        // Off by one step at most: of bf16 2^-8 of the change and more, of codes a part of the largest change, 0.06.
        const most = { f32: 0, bf16: 0.0005, int8: 0.06 / 127, int4: 0.06 / 7 }[exchange] * 1.001;
        let worst = 0;
        for (let i = 0; i < out.length; i++) {
          if (parameter.byRow && !touched.includes(Math.floor(i / 5))) continue;
          worst = Math.max(worst, Math.abs(out[i]! - (exchange === 'f32' ? now[i]! : now[i]! - old[i]!)));
        }
        expect(worst).toBeLessThanOrEqual(most);
      }
    },
  );

  test('has the same bytes each time, and others in another slot', async () => {
    const [one, again] = [await write('int8'), await write('int8')];
    expect(again.sha256).toBe(one.sha256);
    const [began, ended] = [await files.numbers(before), await files.numbers(after)];
    const path = files.path();
    const other = await writeDelta(path, { ...head('int8'), from: 4 }, parameters, { before: began, after: ended });
    expect(other.sha256).not.toBe(one.sha256);
  });

  test('holds the rows that are said to be touched where these are told', async () => {
    const rows = new RowSet(53_000);
    for (const row of [7, 9]) rows.add(row);
    const [began, ended] = [await files.numbers(before), await files.numbers(after)];
    const replica = { before: began, after: ended, touched: new Map([['table', rows]]) };
    const { rows: counts } = await writeDelta(files.path(), head('int8'), parameters, replica);
    expect(counts).toEqual({ table: 2 });
  });

  test('is not written of numbers that are none: the parameter is named, and nothing stays', async () => {
    for (const exchange of exchanges) {
      const wide = after.wide!.slice();
      wide[4097] = Number.NaN;
      const path = files.path();
      const error = await write(exchange, { ...after, wide }, path).catch((caught) => caught);
      expect(error).toMatchObject({ code: 'NonFinite', details: { parameter: 'wide', from: 3, round: 2 } });
      expect(error.message).toMatch(/^round 2: the change of slot 3 in wide holds a number that is infinite, none, /);
      const names = await readdir(files.folder);
      expect(names.filter((name) => join(files.folder, name).startsWith(path))).toEqual([]);
    }
  });

  test('is refused where it is of other parameters, or of none', async () => {
    const { path } = await write('int4');
    const refused = (of: RoundParameter[]) => expect(DeltaFile.open(path, of)).rejects;
    await refused(parameters.slice(0, 2)).toThrow(/it has "(rows\/)?table", which this phase does not train/);
    await refused([...parameters.slice(0, 2), { ...parameters[2]!, shape: [53_008, 5] }]).toThrow(
      /rows\/table is not of the 53008 rows of table/,
    );
    await refused([parameters[0]!, { ...parameters[1]!, shape: [3, 90_000] }, parameters[2]!]).toThrow(
      /wide is U8 \[135266\], and U8 \[135264\] is wanted/,
    );
    await expect(DeltaFile.open(fixture('expected'), small)).rejects.toThrow(/its metadata are not those/);
  });
});
