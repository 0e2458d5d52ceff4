import { readFile, rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeApplied } from '../../src/rounds/apply.ts';
import type { Exchange } from '../../src/rounds/exchange.ts';
import type { DeltaHead } from '../../src/rounds/layout.ts';
import { mergeDeltas } from '../../src/rounds/merge.ts';
import { bufferAfter, type Outer, stepOf, valueAfter } from '../../src/rounds/outer.ts';
import { lengthOf, numbersOf, type RoundParameter } from '../../src/rounds/parameters.ts';
import { DeltaFile } from '../../src/rounds/read-delta.ts';
import { writeDelta } from '../../src/rounds/write-delta.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { openRanged, readingAhead } from '../../src/safetensors/safetensors.ts';
import { RoundFiles, type Values } from './files.ts';
import sgd from './fixtures/outer.json' with { type: 'json' };

const parameters: RoundParameter[] = [
  { name: 'a', shape: [7, 601], byRow: false },
  { name: 'scalar', shape: [], byRow: false },
  { name: 'table', shape: [21, 3], byRow: true },
];
const plain: Outer = { rate: 1, momentum: 0 };
const nesterov: Outer = { rate: 0.7, momentum: 0.9 };

let files: RoundFiles;
beforeAll(async () => {
  files = await RoundFiles.make(parameters);
});
afterAll(async () => {
  await files.close();
  await rm(files.folder, { recursive: true });
});

function drawn(seed: number, of: (stream: ReturnType<typeof randomStream>) => number): Record<string, Float32Array> {
  const stream = randomStream(seed, 'test');
  const entries = parameters.map((one) => [one.name, Float32Array.from({ length: lengthOf(one) }, () => of(stream))]);
  return Object.fromEntries(entries);
}
const start = drawn(1, (stream) => stream.normal());

/** Where a slot ends: everything moved, of the table only its rows. */
function ended(slot: number, rows: readonly number[], began: Values = start): Values {
  const moves = drawn(100 + slot, (stream) => 0.01 * stream.normal());
  return Object.fromEntries(
    Object.entries(began).map(([name, values]) => [
      name,
      values.map((x, i) => (name === 'table' && !rows.includes(Math.floor(i / 3)) ? x : x + moves[name]![i]!)),
    ]),
  );
}

const rowsOfSlots = [[0, 4, 20], [4, 5], [4]];
const examples = [300, 500, 201];

async function member(
  slot: number,
  exchange: Exchange,
  values: Values,
  of: Partial<DeltaHead> = {},
  began: Values = start,
) {
  const path = files.path();
  const head: DeltaHead = { exchange, seed: 5, round: 0, from: slot, examples: examples[slot]!, ...of };
  const replica = { before: await files.numbers(began), after: await files.numbers(values) };
  await writeDelta(path, head, parameters, replica);
  return files.delta(path);
}

const threeOf = (exchange: Exchange) =>
  Promise.all(rowsOfSlots.map((rows, slot) => member(slot, exchange, ended(slot, rows))));

async function merge(
  members: Awaited<ReturnType<typeof threeOf>>,
  outer: Outer,
  began: Values = start,
  momentum?: string,
) {
  const paths = { delta: files.path(), momentum: files.path() };
  const before = await files.numbers(began);
  const held = momentum === undefined ? null : numbersOf(await files.file(momentum));
  const made = await mergeDeltas(paths, { parameters, before, members, outer, momentum: held });
  const delta = await files.delta(paths.delta);
  const path = files.path();
  const applied = await writeApplied(path, parameters, before, delta);
  return { ...made, delta, deltaSha256: made.delta.sha256, paths, path, applied };
}

async function valuesIn(path: string): Promise<Values> {
  const file = await files.file(path);
  return Object.fromEntries(await Promise.all(parameters.map(async ({ name }) => [name, await file.readFloats(name)])));
}

describe('one replica', () => {
  test('with rate 1, no momentum and f32 is, merged and applied, byte for byte the file that it ended with', async () => {
    // Any bits there are but infinite ones and those of none: minus zero, denormals, and sizes that differences lose.
    const any = (stream: ReturnType<typeof randomStream>) => {
      const bits = new Uint32Array([stream.next() * 2 ** 32]);
      if ((bits[0]! & 0x7f800000) === 0x7f800000) bits[0] = 0x80000000;
      return new Float32Array(bits.buffer)[0]!;
    };
    const [began, values] = [drawn(11, any), drawn(12, any)];
    const after = await files.numbers(values);
    const { applied, path } = await merge([await member(0, 'f32', values, {}, began)], plain, began);
    expect(applied.sha256).toBe(after.sha256);
    expect(await readFile(path)).toEqual(await readFile(after.path));
  });

  test('is so for two million pairs of any bits, of which differences would lose most', () => {
    const stream = randomStream(3, 'pairs');
    const bits = new Uint32Array(2);
    const pair = new Float32Array(bits.buffer);
    let lost = 0;
    let other = 0;
    for (let i = 0; i < 2_000_000; i++) {
      bits[0] = stream.next() * 2 ** 32;
      bits[1] = stream.next() * 2 ** 32;
      const [before, value] = [pair[0]!, pair[1]!];
      if (!Number.isFinite(before) || !Number.isFinite(value)) continue;
      if (!Object.is(Math.fround(valueAfter(plain, before, 1 * value, 0)), value)) other++;
      if (!Object.is(Math.fround(before + Math.fround(value - before)), value)) lost++;
    }
    expect(other).toBe(0);
    expect(lost).toBeGreaterThan(500_000);
  });
});

describe('a merge', () => {
  test.each(['f32', 'bf16', 'int8', 'int4'] as const)(
    'in %s has the same bytes for any order of arrival',
    async (exchange) => {
      const [a, b, c] = await threeOf(exchange);
      const made = [];
      for (const order of [
        [a!, b!, c!],
        [c!, a!, b!],
        [b!, c!, a!],
      ])
        made.push(await merge(order, nesterov));
      expect(new Set(made.map(({ deltaSha256 }) => deltaSha256)).size).toBe(1);
      expect(new Set(made.map(({ applied }) => applied.sha256)).size).toBe(1);
      expect(new Set(made.map(({ momentum }) => momentum?.sha256)).size).toBe(1);
    },
  );

  test('in f32 is the mean by examples, of a row over those that touched it, as a slow sum in whole numbers says', async () => {
    const values = rowsOfSlots.map((rows, slot) => ended(slot, rows));
    const got = await valuesIn((await merge(await threeOf('f32'), plain)).path);
    let looked = 0;
    for (const { name } of parameters)
      for (const [i, value] of got[name]!.entries()) {
        const row = Math.floor(i / 3);
        const slots = [0, 1, 2].filter((slot) => name !== 'table' || rowsOfSlots[slot]!.includes(row));
        if (slots.length === 0) {
          expect(Object.is(value, start[name]![i]!)).toBe(true);
          continue;
        }
        // In units of 2^-60, which numbers of this size have no bits below.
        const units = (x: number) => BigInt(Math.round(x * 2 ** 40)) * 2n ** 20n;
        const exact = slots.every((slot) => Number.isInteger(values[slot]![name]![i]! * 2 ** 40));
        if (!exact) continue;
        looked++;
        const sum = slots.reduce((all, slot) => all + BigInt(examples[slot]!) * units(values[slot]![name]![i]!), 0n);
        const total = BigInt(slots.reduce((all, slot) => all + examples[slot]!, 0));
        expect(value).toBe(Math.fround(Number(sum / total) / 2 ** 60));
      }
    expect(looked).toBeGreaterThan(4000);
  });

  test('in int8 moves by the outer step of what members wrote, within one code of its block', async () => {
    const members = await threeOf('int8');
    const { path, paths } = await merge(members, nesterov);
    const [got, buffers] = [await valuesIn(path), await valuesIn(paths.momentum)];
    for (const parameter of parameters) {
      const { name } = parameter;
      const parts = await Promise.all(
        members.map(async (one) => {
          const out = new Float64Array(lengthOf(parameter)).fill(Number.NaN);
          await one.read(parameter, 0, out.length, out);
          return out;
        }),
      );
      for (const [i, value] of got[name]!.entries()) {
        const there = [0, 1, 2].filter((slot) => !Number.isNaN(parts[slot]![i]!));
        const total = there.reduce((sum, slot) => sum + examples[slot]!, 0);
        const change = there.reduce((sum, slot) => sum + (examples[slot]! * parts[slot]![i]!) / total, 0);
        if (there.length === 0) expect([value, buffers[name]![i]]).toEqual([start[name]![i], 0]);
        else {
          // From a buffer of zeros: v = -change, step = 0.7 (change + 0.9 change). The largest change is below 0.05.
          expect(buffers[name]![i]).toBeCloseTo(-change, 7);
          expect(Math.abs(value - start[name]![i]! - 0.7 * 1.9 * change)).toBeLessThan((1.33 * 0.05) / 127 + 1e-6);
        }
      }
    }
  });

  test('goes on from the buffers of the round before, and leaves those of rows that nobody touched', async () => {
    const first = await merge(await threeOf('f32'), nesterov);
    const began = await valuesIn(first.path);
    const members = await Promise.all(
      [[5], [6]].map((rows, slot) => member(slot, 'f32', ended(slot, rows, began), { round: 1 }, began)),
    );
    const second = await merge(members, nesterov, began, first.paths.momentum);
    const [old, now] = [await valuesIn(first.paths.momentum), await valuesIn(second.paths.momentum)];
    const got = await valuesIn(second.path);
    expect(now.table!.subarray(3 * 4, 3 * 5)).toEqual(old.table!.subarray(3 * 4, 3 * 5));
    expect(got.table!.subarray(3 * 4, 3 * 5)).toEqual(began.table!.subarray(3 * 4, 3 * 5));
    const [x, y] = [0, 1].map((slot) => ended(slot, [5], began).scalar![0]! - began.scalar![0]!);
    const change = (300 * x! + 500 * y!) / 800;
    expect(now.scalar![0]).toBeCloseTo(0.9 * old.scalar![0]! - change, 6);
    expect(got.scalar![0]! - began.scalar![0]!).toBeCloseTo(0.7 * (change - 0.9 * now.scalar![0]!), 6);
  });

  test('reads members that lie in a store in ranges, one after another, and comes to the same bytes', async () => {
    const members = await threeOf('int8');
    const local = await merge(members, nesterov);
    const requests: number[][] = [];
    const remote = await Promise.all(
      members.map(async ({ path }) => {
        const file = await readFile(path);
        const made: number[] = [];
        requests.push(made);
        const get = async (offset: number, size: number) => {
          made.push(size);
          return file.subarray(offset, offset + size);
        };
        const damaged = (problem: string) => new RunnerError('CheckpointDamaged', problem);
        const parts = await openRanged(path, file.length, readingAhead(get, file.length, 2000), damaged);
        return DeltaFile.of(parts, parameters);
      }),
    );
    const far = await merge(remote, nesterov);
    expect(far.deltaSha256).toBe(local.deltaSha256);
    expect(far.momentum).toEqual(local.momentum);
    // About 4,900 bytes: the header, the rows of the table, which come first, and then pieces as they come.
    for (const made of requests) expect(made.length).toBeLessThanOrEqual(6);
  });

  test('is refused where f32 cannot hold where it leads', async () => {
    const began = { ...start, scalar: Float32Array.from([3e38]) };
    const values = { ...began, scalar: Float32Array.from([3.4e38]) };
    const error = await merge([await member(0, 'int8', values, {}, began)], { rate: 2, momentum: 0 }, began).catch(
      (caught) => caught,
    );
    expect(error).toMatchObject({ code: 'NonFinite', details: { parameter: 'scalar', round: 0 } });
  });

  test('is refused of members that are not of one round, one a slot', async () => {
    const [a, b] = await threeOf('int8');
    const refused = async (members: (typeof a)[], why: RegExp) =>
      expect(merge(members as never, plain)).rejects.toThrow(why);
    await refused([], /there are none; give those of one round, one a slot/);
    await refused([a, a], /slot 0 is there twice/);
    await refused([a, await member(1, 'int4', ended(1, [1]))], /slot 1 has the exchange int4, and slot 0 int8/);
    await refused([a, await member(1, 'int8', ended(1, [1]), { round: 9 })], /slot 1 has the round 9, and slot 0 0/);
    await refused([a, await member(1, 'int8', ended(1, [1]), { examples: 0 })], /slot 1 has 0 examples/);
    await refused([a, (await merge([a!, b!], plain)).delta], /is merged already/);
  });
});

describe('the outer step', () => {
  test.each(sgd.cases)(
    'with rate $rate and momentum $momentum is that of SGD in PyTorch, by changes and by values',
    (of) => {
      const { start, gradients, after, ...outer } = of;
      for (const [i, x] of start.entries()) {
        let [byChange, byValue, v] = [x, x, 0];
        for (const [round, gradient] of gradients.entries()) {
          const change = -gradient[i]!;
          v = bufferAfter(outer, change, v);
          byValue = valueAfter(outer, byValue, byValue + change, v);
          byChange += stepOf(outer, change, v);
          // The buffer is kept in f32.
          expect(byChange).toBeCloseTo(after[round]![i]!, 6);
          expect(byValue).toBeCloseTo(after[round]![i]!, 6);
        }
      }
    },
  );
});
