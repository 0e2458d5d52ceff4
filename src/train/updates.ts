import type { Tensor } from '@tensorflow/tfjs';
import type { TensorSpec, Tensors, Values } from '../compile/definition.ts';
import type { ParameterSpec } from '../model/parameters.ts';
import { type Corrections, corrections } from '../optimiser/optimiser.ts';
import type { OptimizerSettings } from '../recipe/schema.ts';
import type { PhaseState } from './phase-state.ts';

/**
 * How many updates the moments of each parameter have seen: what Adam corrects their bias by. It is the number of the
 * step, but for what was born later, whose moments started again, or which no objective read for a while.
 */
export interface Updates {
  /** The step after which the counts hold. */
  readonly step: number;
  /** Counts that are not the step, by parameter: one, or one for each row of a table of tokens. */
  readonly own: Readonly<Record<string, Int32Array>>;
  /** Whether what no objective reads is updated too, as before counts were kept: a phase that began so ends so. */
  readonly everything?: boolean;
}

/** As a run begins. */
export const noUpdates: Updates = { step: 0, own: {} };

type Trained = Pick<PhaseState, 'parameters' | 'read'> & Partial<Pick<PhaseState, 'frozen'>>;

/** The parameters that an update of a phase changes: it leaves those that are frozen, or that no objective reads, as they are. */
export function updatedParameters(
  { parameters, read, frozen }: Trained,
  { everything }: Updates,
): readonly ParameterSpec[] {
  return parameters.filter(({ name }) => (everything || read.has(name)) && !frozen?.has(name));
}

/** Parameters whose counts are the same and not the step, and the feed of their corrections. */
export interface CountGroup {
  /** Of the first of them. */
  readonly name: string;
  readonly members: readonly string[];
  /** A scalar, or one number for each row. */
  readonly feed: TensorSpec;
}

/** Which parameters are corrected apart: all that a graph depends on of the counts. */
export function countGroups(phase: Trained, updates: Updates): CountGroup[] {
  const groups = new Map<string, { name: string; members: string[]; feed: TensorSpec }>();
  for (const { name, shape } of updatedParameters(phase, updates)) {
    const counts = updates.own[name];
    if (counts === undefined) continue;
    // Rows advance together, but no two tables are of one shape.
    const of = counts.length === 1 ? `count ${counts[0]}` : name;
    const feed = { shape: counts.length === 1 ? [] : [shape[0]!, ...shape.slice(1).map(() => 1)], dtype: 'float32' };
    const group = groups.get(of) ?? { name, members: [], feed: feed as TensorSpec };
    group.members.push(name);
    groups.set(of, group);
  }
  return [...groups.values()];
}

const feedsOf = ({ name }: CountGroup): Corrections<string> => ({
  correction1: `correction1/${name}`,
  correction2: `correction2/${name}`,
});

/** What the graph of an update is fed with beyond the corrections that all others have. */
export function correctionFeeds(phase: Trained, updates: Updates): Record<string, TensorSpec> {
  const feeds = countGroups(phase, updates).flatMap((group) =>
    Object.values(feedsOf(group)).map((key) => [key, group.feed] as const),
  );
  return Object.fromEntries(feeds);
}

/** Its values in the update of a step. */
export function correctionValues(optimizer: OptimizerSettings, phase: Trained, updates: Updates, step: number): Values {
  // Of the rows of a table many have the same count.
  const known = new Map<number, Corrections<number>>();
  const of = (count: number) => {
    const found = known.get(count) ?? corrections(optimizer, count + step - updates.step);
    known.set(count, found);
    return found;
  };
  const feeds = countGroups(phase, updates).flatMap((group) => {
    const counts = updates.own[group.name]!;
    return (['correction1', 'correction2'] as const).map(
      (which) => [feedsOf(group)[which], Float32Array.from(counts, (count) => of(count)[which])] as const,
    );
  });
  return Object.fromEntries(feeds);
}

/** The same as tensors, by parameter. */
export function ownCorrections(
  phase: Trained,
  updates: Updates,
  feeds: Tensors,
): ReadonlyMap<string, Corrections<Tensor>> {
  const own = countGroups(phase, updates).flatMap((group) => {
    const { correction1, correction2 } = feedsOf(group);
    const both = { correction1: feeds[correction1]!, correction2: feeds[correction2]! };
    return group.members.map((name) => [name, both] as const);
  });
  return new Map(own);
}

/** The counts after a later step of the phase. */
export function updatesAfter(phase: Trained, updates: Updates, step: number): Updates {
  const moving = new Set(updatedParameters(phase, updates).map(({ name }) => name));
  const passed = step - updates.step;
  const own = phase.parameters.map(({ name }): [string, Int32Array] => {
    // Without moments nothing was seen, which tells a reader that they are not lost.
    if (phase.frozen?.has(name)) return [name, Int32Array.of(0)];
    const before = updates.own[name] ?? Int32Array.of(updates.step);
    return [name, moving.has(name) ? before.map((count) => count + passed) : before];
  });
  return { ...updates, step, own: ownCounts(step, own) };
}

/** The counts of a state without moments. That they are 0 tells a reader that none are lost, so they are there whatever the step. */
export const atRest = ({ parameters }: Pick<Trained, 'parameters'>, step: number): Updates => ({
  step,
  own: Object.fromEntries(parameters.map(({ name }) => [name, Int32Array.of(0)])),
});

/** The same counts of a state that is called by another step. */
export function countedAt({ parameters }: Trained, updates: Updates, step: number): Updates {
  const counts = parameters.map(({ name }) => [name, updates.own[name] ?? Int32Array.of(updates.step)] as const);
  return { ...updates, step, own: ownCounts(step, counts) };
}

/** Only those that are not the step; one where all rows have the same. */
export function ownCounts(step: number, counts: readonly (readonly [string, Int32Array])[]): Updates['own'] {
  const own = counts.flatMap(([name, all]) => {
    const first = all[0]!;
    if (!all.every((count) => count === first)) return [[name, all] as const];
    return first === step ? [] : [[name, Int32Array.of(first)] as const];
  });
  return Object.fromEntries(own);
}
