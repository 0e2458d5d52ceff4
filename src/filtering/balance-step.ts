import { pMapIterable } from 'p-map';
import { outOf } from '../runtime/count-text.ts';
import { isRunnerError } from '../runtime/errors.ts';
import { Balance, type BalanceState, weightOf } from './balance.ts';
import type { Attributes } from './balance-settings.ts';
import { addBiasSums, type BiasSums, biasesOf, biasSumsOf } from './bias.ts';
import type { FilterKeys } from './keys.ts';
import type { FilterPlan } from './plan.ts';
import { putJson, readJson, type StepOf, verdictsOf } from './step.ts';
import { readerOf, type WordReader } from './word-lists.ts';

/** Attributes of the examples of a shard that have any: number, shares of the groups, labels. */
export type StoredAttributes = readonly (readonly [example: number, s: Attributes['s'], y: Attributes['y']])[];

/** So many shards are gone through again at most when a worker dies, and so many are read ahead. */
const shardsOfPart = 200;
const readAtOnce = 8;

/** Attributes of the examples of a shard that remain, and their numbers. */
interface Remaining {
  readonly numbers: readonly number[];
  readonly attributes: readonly Attributes[];
}

async function remainingOf(of: StepOf, { nothing }: WordReader): Promise<Remaining> {
  const verdicts = await verdictsOf(of, { embeddings: true });
  const stored = await readJson<StoredAttributes>(of.store, of.keys.attributes(of.part));
  const known = new Map(stored.map(([example, s, y]) => [example, { s, y }]));
  const numbers = Array.from(verdicts.codes.keys()).filter((i) => verdicts.remains(i));
  return { numbers, attributes: numbers.map((i) => known.get(i) ?? nothing) };
}

/** Goes over all shards again and again until weights balance them, one after the other: each begins where the last ended. */
export async function balance(of: StepOf): Promise<void> {
  const { store, plan, keys, doing } = of;
  const { lists, language: _, ...settings } = plan.settings.balance!;
  const reader = readerOf(lists);
  const shards = plan.index.shards.length;
  let made = new Balance(reader.bounds, settings, await begun(of));
  while (!made.isDone) {
    const { passes, shards: first } = made.state;
    const end = Math.min(shards, first + shardsOfPart);
    const numbers = Array.from({ length: end - first }, (_, i) => first + i);
    const all = pMapIterable(numbers, (part) => remainingOf({ ...of, part }, reader), { concurrency: readAtOnce });
    let done = first;
    for await (const { attributes } of all) {
      made.addShard(attributes);
      const all = settings.passes + settings.lastPasses;
      doing(`balancing: pass ${passes + 1} of ${all}, ${outOf(++done, shards, 'shard')}`);
    }
    if (end === shards) made.endPass();
    // Whoever writes it: a state is a pure function of what was gone through, and is gone on from as it was written.
    const { state } = made;
    await putJson(store, keys.balancing, state);
    made = new Balance(reader.bounds, settings, state);
  }
  await putJson(store, keys.balanced, made.state);
}

async function begun({ store, keys }: StepOf): Promise<BalanceState | undefined> {
  try {
    return await readJson<BalanceState>(store, keys.balancing);
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing')) return undefined;
    throw error;
  }
}

/** Sets the weights of the examples of a shard that remain, and keeps what that does to the biases. */
export async function weighBalanced(of: StepOf, weights: Float32Array): Promise<void> {
  const { lists, language: _, ...settings } = of.plan.settings.balance!;
  const reader = readerOf(lists);
  const state = await readJson<BalanceState>(of.store, of.keys.balanced);
  const weight = weightOf(state, reader.bounds, settings);
  const { numbers, attributes } = await remainingOf(of, reader);
  for (const [i, number] of numbers.entries()) weights[number] = weight(attributes[i]!);
  await putJson(of.store, of.keys.biases(of.part), biasSumsOf(attributes, weight, reader.bounds));
}

/** How far each group was from its share, and is by the weights; and the label that it is most tied to. */
export async function balanceNotes(
  store: StepOf['store'],
  keys: FilterKeys,
  { settings, index }: FilterPlan,
): Promise<Record<string, number>> {
  const { lists, language: _, ...how } = settings.balance!;
  const { bounds, groups, labels } = readerOf(lists);
  let sums: BiasSums | null = null;
  const read = pMapIterable(index.shards.keys(), (n) => readJson<BiasSums>(store, keys.biases(n)), { concurrency: 16 });
  for await (const own of read) sums = sums ? addBiasSums(sums, own) : own;
  const notes: Record<string, number> = {};
  if (!sums) return notes;
  const biases = biasesOf(sums, bounds, how);
  const note = (what: string, value: number) => {
    notes[`balance: ${what}`] = Number(value.toFixed(4));
  };
  for (const [group, name] of groups.entries()) {
    const own = biases.filter((bias) => bias.group === group);
    const share = own.find(({ label }) => label === null)!;
    note(`${name} beyond its share, before`, share.before);
    note(`${name} beyond its share, by the weights`, share.after);
    const tied = own.filter(({ label }) => label !== null);
    for (const when of ['before', 'after'] as const) {
      const [most] = tied.sort((a, b) => Math.abs(b[when]) - Math.abs(a[when]));
      const said = when === 'before' ? when : 'by the weights';
      if (most) note(`${name} most tied to ${labels[most.label!]}, ${said}`, most[when]);
    }
  }
  return notes;
}
