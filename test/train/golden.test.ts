import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cpuFacts } from '../../src/runtime/cpu.ts';
import { GoldenData, kindNames, type Series } from './golden-phases.ts';

/**
 * What 60 steps of every kind of phase reported, by the CPU that they ran on. After a change that is meant to move them
 *
 *     UPDATE_GOLDEN=1 npm test -- test/train/golden.test.ts
 *
 * writes them anew, and the message of the commit says why they moved. Numbers of other CPUs leave the file then.
 */
const file = new URL('golden-losses.json', import.meta.url);
/** By CPU, kind and what is reported: a float32 for each step. */
type Golden = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>>;
const golden = JSON.parse(readFileSync(file, 'utf8')) as Golden;

/** What last bits depend on: instructions, threads and, for the sizes of its caches, the make of the CPU. */
function thisCpu(): string {
  const { kind, threads } = cpuFacts();
  const cpuinfo = readFileSync('/proc/cpuinfo', 'utf8');
  const said = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(cpuinfo)?.[1] ?? 'unknown';
  return `${kind}, ${threads} threads, ${said('vendor_id')} ${said('cpu family')}/${said('model')}`;
}

const cpu = thisCpu();
const update = process.env.UPDATE_GOLDEN === '1';
/** Those of another CPU, where this one is not known. */
const [example, stored] = golden[cpu] ? [cpu, golden[cpu]] : (Object.entries(golden)[0] ?? [cpu, undefined]);

/** Nine digits are a float32. */
const asText = (series: Series) =>
  Object.fromEntries(
    Object.entries(series).map(([name, all]) => [name, all.map((x) => Number(x.toPrecision(9))).join(' ')]),
  );

/**
 * On other CPUs rounding differs, and training drifts apart: measured between AVX512_BF16 and AVX2, and between one thread
 * and two, TODO.
 */
const [steps, tolerance] = [5, 1e-4];

/** Largest relative difference of the first steps. */
function apart(actual: Readonly<Record<string, string>>, expected: Readonly<Record<string, string>>): number {
  const numbers = (text: string) => text.split(' ').slice(0, steps).map(Number);
  const differences = Object.entries(expected).flatMap(([name, text]) => {
    const own = numbers(actual[name] ?? '');
    return numbers(text).map((x, i) => Math.abs(own[i]! / x - 1));
  });
  return Math.max(...differences);
}

describe(`60 steps on a CPU with ${cpu}`, () => {
  const found: Record<string, ReturnType<typeof asText>> = {};
  let folder: string;
  let data: GoldenData;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'siglip2-golden-'));
    data = await GoldenData.make(folder);
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    if (!update || Object.keys(found).length < kindNames.length) return;
    // What did not move, or is only another CPU, leaves the others; what moved makes them old.
    const near = (kind: string) => stored?.[kind] !== undefined && apart(found[kind]!, stored[kind]) < tolerance;
    const same = example === cpu ? JSON.stringify(found) === JSON.stringify(stored) : kindNames.every(near);
    writeFileSync(file, `${JSON.stringify({ ...(same && golden), [cpu]: found }, null, 2)}\n`);
  });

  it.each(kindNames)('report what is stored: %s', async (kind) => {
    found[kind] = asText(await data.train(kind));
    if (update) return;
    if (example === cpu) return expect(found[kind]).toEqual(stored?.[kind]);
    process.stderr.write(
      `No losses of a CPU with ${cpu} are stored: the first ${steps} steps of ${kind} are compared with those of ${example}, roughly\n`,
    );
    expect(Object.keys(found[kind])).toEqual(Object.keys(stored![kind]!));
    expect(apart(found[kind], stored![kind]!)).toBeLessThan(tolerance);
  });
});
