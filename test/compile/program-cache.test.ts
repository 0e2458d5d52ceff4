import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeEntry, encodeEntry, type KeptProgram } from '../../src/compile/cache-entry.ts';
import { ProgramCache } from '../../src/compile/program-cache.ts';
import { machineKey } from '../../src/runtime/machine-key.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'programs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const program: KeptProgram = {
  model: Buffer.from('a graph'),
  nodes: 3,
  outputs: new Map([['step', ['loss', 'gradientNorm']]]),
  compiled: new Map([['xla_1.pb', Buffer.from('machine code')]]),
};
const entries = () => readdirSync(folder).filter((name) => name.endsWith('.program'));
const open = (env: NodeJS.ProcessEnv = {}) => ProgramCache.open(folder, env)!;

describe('a trainer that starts again', () => {
  it('finds its program, compiles nothing, and ends in the bytes of one without a cache; damage costs it time alone', () => {
    const child = new URL('cached-child.ts', import.meta.url).pathname;
    const start = (...args: string[]) => {
      const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
      const out = execFileSync(process.execPath, ['--import', 'tsx', child, ...args], { encoding: 'utf8', stdio });
      return JSON.parse(out) as { found: boolean; compiled: number; program: string; state: string };
    };
    const without = start();
    const cold = start(folder);
    expect(cold).toMatchObject({ found: false, program: without.program, state: without.state });
    expect(cold.compiled).toBeGreaterThan(3);
    const warm = start(folder);
    expect(warm).toEqual({ ...cold, found: true, compiled: 0 });
    const [entry] = entries();
    const bytes = readFileSync(join(folder, entry!));
    for (const at of [70, bytes.length - 70]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1;
      writeFileSync(join(folder, entry!), damaged);
      expect(decodeEntry(damaged)).toBe(null);
    }
    expect(start(folder)).toEqual(cold);
    expect(decodeEntry(readFileSync(join(folder, entry!)))!.compiled.size).toBe(cold.compiled);
    // What a process had for itself is gone with it.
    expect(readdirSync(join(folder, 'open'))).toEqual([]);
  }, 120_000);
});

describe('the cache of programs', () => {
  it('gives back what was put in, and nothing of a file that was cut short, changed, or names a file elsewhere', () => {
    const bytes = encodeEntry(program);
    expect(decodeEntry(bytes)).toEqual({
      ...program,
      model: new Uint8Array(program.model),
      compiled: new Map([['xla_1.pb', new Uint8Array(Buffer.from('machine code'))]]),
    });
    for (const length of [0, 10, 64, 80, bytes.length - 1]) expect(decodeEntry(bytes.subarray(0, length))).toBe(null);
    const outside = { ...program, compiled: new Map([['../../x', Buffer.from('x')]]) };
    expect(decodeEntry(encodeEntry(outside))).toBe(null);
  });

  it('has another place for another step, other variables, and another machine', () => {
    const cache = open();
    cache.slot({ precision: 'f32' })!.keep(program);
    expect(cache.slot({ precision: 'bf16' })!.find()).toBe(null);
    expect(open({ TF_NUM_INTRAOP_THREADS: '3' }).slot({ precision: 'f32' })!.find()).toBe(null);
    expect(open({ HOME: '/other' }).slot({ precision: 'f32' })!.find()?.nodes).toBe(3);
    expect(machineKey({ ONEDNN_MAX_CPU_ISA: 'AVX2' })).not.toBe(machineKey({}));
  });

  it('is passed over from the third start on that ended before a step, and forgets what failed', () => {
    const cache = open();
    const start = () => cache.slot({})!.find();
    cache.slot({})!.keep(program);
    expect([start()?.nodes, start()?.nodes, start(), start()]).toEqual([3, 3, null, null]);
    cache.slot({})!.keep(program);
    for (let i = 0; i < 5; i++) {
      const slot = cache.slot({})!;
      expect(slot.find()?.nodes).toBe(3);
      slot.proven();
    }
    cache.slot({})!.drop();
    expect(start()).toBe(null);
  });

  it('holds a GiB, and what was used last of it', () => {
    const sparse = (name: string, gigabytes: number, age: number) => {
      const path = join(folder, `${name}.program`);
      writeFileSync(path, '');
      truncateSync(path, Math.floor(gigabytes * 2 ** 30));
      const time = Date.now() / 1000 - age;
      utimesSync(path, time, time);
    };
    const cache = open();
    sparse('old', 0.5, 300);
    sparse('older', 0.2, 400);
    sparse('new', 0.7, 100);
    cache.slot({})!.keep(program);
    expect(entries()).toHaveLength(2);
    expect(existsSync(join(folder, 'new.program'))).toBe(true);
  });

  it('does without a folder that can not be, and leaves it to whoever set a place for XLA himself', () => {
    expect(ProgramCache.open('/proc/nowhere', {})).toBe(null);
    const own = { TF_XLA_FLAGS: '--tf_xla_persistent_cache_directory=/somewhere' };
    expect(ProgramCache.open(folder, own)).toBe(null);
    expect(own.TF_XLA_FLAGS).toBe('--tf_xla_persistent_cache_directory=/somewhere');
  });
});
