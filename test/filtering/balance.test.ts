import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Balance, type BalanceState, firstState, weightOf } from '../../src/filtering/balance.ts';
import { type Attributes, type BalanceSettings, balanceSettings } from '../../src/filtering/balance-settings.ts';
import { addBiasSums, biasesOf, biasSumsOf } from '../../src/filtering/bias.ts';
import { permutation, randomStream } from '../../src/runtime/random.ts';

/** What solvers of others make of the same data (fixtures/make_balance.py). */
interface Case {
  readonly name: string;
  readonly settings: object;
  readonly labels: number;
  readonly kinds: readonly { readonly s: [number, number] | null; readonly y: number[]; readonly count: number }[];
  readonly biasBefore: readonly number[];
  readonly bias: readonly number[];
  readonly kept: number;
  readonly objective: number;
  readonly mostKept: number;
  readonly q: readonly number[];
}
const { cases } = JSON.parse(readFileSync(new URL('fixtures/balance.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};

const attributesOfKind = ({ s, y }: Case['kinds'][number]): Attributes => ({ s: s ?? [null, null], y });

/** All examples of a case, mixed, in shards of 1,000. */
function shardsOf({ kinds }: Case): Attributes[][] {
  const all = kinds.flatMap((kind) => new Array<Attributes>(kind.count).fill(attributesOfKind(kind)));
  const mixed = Array.from(permutation(all.length, randomStream(3, 'test')), (i) => all[i]!);
  return Array.from({ length: Math.ceil(mixed.length / 1000) }, (_, i) => mixed.slice(1000 * i, 1000 * (i + 1)));
}

function balanced(
  shards: readonly Attributes[][],
  bounds: { targets: number[]; labels: number },
  settings: BalanceSettings,
  between: (state: BalanceState) => BalanceState = (state) => state,
): BalanceState {
  let balance = new Balance(bounds, settings);
  while (!balance.isDone) {
    for (const shard of shards) {
      balance.addShard(shard);
      balance = new Balance(bounds, settings, between(balance.state));
    }
    balance.endPass();
  }
  return balance.state;
}

test.each(cases)('weights come close to those of a solver of quadratic programs: $name', (of) => {
  const bounds = { targets: [0.5, 0.5], labels: of.labels };
  const settings = balanceSettings.parse(of.settings);
  const shards = shardsOf(of);
  const state = balanced(shards, bounds, settings);
  const weight = weightOf(state, bounds, settings);
  const sums = shards.map((shard) => biasSumsOf(shard, weight, bounds)).reduce(addBiasSums);
  const biases = biasesOf(sums, bounds, settings);
  expect(biases.map(({ before }) => before)).toEqual(of.biasBefore.map((bias) => expect.closeTo(bias, 6)));
  const beyond = biases.map(({ after, tolerance }) => Math.abs(after) - tolerance);
  expect(Math.max(...beyond)).toBeLessThan(2e-4);
  expect(Math.max(...biases.map(({ before, tolerance }) => Math.abs(before) - tolerance))).toBeGreaterThan(0.02);
  const kept = sums.weight / sums.examples;
  expect(kept / of.kept).toBeGreaterThan(0.997);
  expect(kept / of.kept).toBeLessThan(1.001);
  // Nothing could keep more within the bounds than this (a linear program says so).
  expect(kept / of.mostKept).toBeGreaterThan(0.98);
  let objective = 0;
  let apart = 0;
  for (const [i, kind] of of.kinds.entries()) {
    const q = weight(attributesOfKind(kind));
    objective += (kind.count * (1 - q) ** 2) / 2 / sums.examples;
    apart += (kind.count * Math.abs(q - of.q[i]!)) / sums.examples;
  }
  expect(objective / of.objective).toBeLessThan(1.02);
  expect(apart).toBeLessThan(0.005);
});

test('a state that goes through JSON after every shard ends with the same bytes, and another seed with others', () => {
  const of = cases[0]!;
  const bounds = { targets: [0.5, 0.5], labels: of.labels };
  const settings = balanceSettings.parse({ ...of.settings, passes: 2, lastPasses: 1 });
  const shards = shardsOf(of);
  const once = JSON.stringify(balanced(shards, bounds, settings));
  const killed = balanced(shards, bounds, settings, (state) => JSON.parse(JSON.stringify(state)) as BalanceState);
  expect(JSON.stringify(killed)).toBe(once);
  expect(JSON.stringify(balanced(shards, bounds, { ...settings, seed: 1 }))).not.toBe(once);
});

test('a label that one group has alone loses its examples, or with a low penalty stays unmet', () => {
  const bounds = { targets: [0.5, 0.5], labels: 1 };
  const one = (s: [number, number] | null, y: number[], count: number) =>
    new Array<Attributes>(count).fill({ s: s ?? [null, null], y });
  const shard = [
    ...[one([0, 1], [0], 100), one([0, 1], [], 200), one([1, 0], [], 300)],
    ...[one(null, [0], 50), one(null, [], 350)],
  ].flat();
  const weigh = (penalty: number) => {
    const settings = balanceSettings.parse({
      of: 'own',
      association: 0.05,
      representation: 1,
      penalty,
      passes: 20,
      lastPasses: 20,
    });
    const weight = weightOf(balanced([shard], bounds, settings), bounds, settings);
    const [, tied] = biasesOf(biasSumsOf(shard, weight, bounds), bounds, settings);
    return { man: weight({ s: [0, 1], y: [0] }), nobody: weight({ s: [null, null], y: [0] }), tied: tied!.after };
  };
  const hard = weigh(100);
  expect(hard.man).toBeLessThan(0.01);
  expect(hard.nobody).toBe(1);
  const soft = weigh(0.5);
  // Two bounds of 0.5 each for half of a person, less what their tolerances give back.
  expect(soft.man).toBeCloseTo(1 - 2 * 0.5 * (0.5 - 0.05), 6);
  expect(soft.tied).toBeCloseTo(-0.5, 6);
});

test('a state is small and of a size that examples do not change, and too many bounds are refused', () => {
  const bounds = { targets: [0.5, 0.5], labels: 100 };
  const settings = balanceSettings.parse({ passes: 1, lastPasses: 1 });
  const stream = randomStream(1, 'size');
  const shard = Array.from({ length: 20_000 }, () => {
    const woman = stream.below(2);
    return { s: [woman, 1 - woman], y: [stream.below(100)] };
  });
  const { length } = JSON.stringify(balanced([shard], bounds, settings));
  expect(length / 202).toBeLessThan(130);
  expect(() => firstState({ targets: [0.5, 0.5], labels: 10_000 })).toThrow(
    'balancing 2 groups by 10000 labels has 20002 bounds; at most 20000 are allowed: leave labels out',
  );
});
