import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { Values } from '../../src/compile/definition.ts';
import { firstMoment, secondMoment } from '../../src/optimiser/optimiser.ts';
import { type Lane, lanesOf, placeOf, roundEnd } from '../../src/recipe/lanes.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { leastOf, type Replicas } from '../../src/recipe/replicas.ts';
import { trainedSettings } from '../../src/recipe/trained-settings.ts';
import { bufferAfter, type Outer, valueAfter } from '../../src/rounds/outer.ts';
import { laneTexts } from '../../src/train/lane-texts.ts';
import { computedState, type PhaseState, phaseState } from '../../src/train/phase-state.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer, graphOf, type Trainer } from '../../src/train/step.ts';
import { atRest, countedAt, noUpdates, type Updates } from '../../src/train/updates.ts';
import type { Drawn } from './drawn.ts';

type State = Record<string, Float32Array>;

const plainMean: Outer = { rate: 1, momentum: 0 };

/**
 * Trains a phase, in rounds where it has replicas, and returns its last state. It is what a real run of it comes to whose
 * exchange is `f32`, to the bit: lanes go through one trainer, one after another, and what they change is merged in memory,
 * so that a lane of a second takes no five for files, their hashes and a store. For one objective alone, the sigmoid loss,
 * in batches that no other part belongs to.
 */
export async function trainInProcess(settings: PhaseSettings, steps: number, drawn: Drawn): Promise<Values> {
  const { replicas, batches } = settings;
  const trained = trainedSettings(settings);
  const phase = phaseState(trained);
  let trainer: Trainer | null = null;
  let graph = '';
  /** A trainer whose moments have seen so much. */
  const having = (updates: Updates): Trainer => {
    const wanted = graphOf(trained, updates);
    if (trainer && graph === wanted) trainer.begin(updates);
    else {
      trainer?.program.dispose();
      trainer = createTrainer(trained, { updates });
      graph = wanted;
    }
    return trainer;
  };
  let state = freshState(trained) as State;
  let updates = noUpdates;
  if (!replicas) {
    const alone = having(updates);
    const end = await trainLane(alone, { slot: 0, first: 1, steps, from: 0, to: steps }, state, trained, drawn);
    alone.program.dispose();
    return end;
  }
  const buffers: State = {};
  const own = new Map<number, State>();
  const slots = leastOf(replicas);
  for (let from = 0; from < steps; ) {
    const to = roundEnd(from, slots * replicas.steps, steps, []);
    const ends: End[] = [];
    let counted = updates;
    for (const lane of lanesOf({ from, to, slots })) {
      const by = having(updates);
      const end = await trainLane(by, lane, { ...state, ...own.get(lane.slot) }, trained, drawn);
      ends.push({ state: end, examples: lane.steps * batches.batch });
      if (replicas.moments === 'kept') own.set(lane.slot, momentsOf(phase, end));
      // As its lowest slot has them.
      if (lane.slot === 0) counted = countedAt(phase, by.updatesAfter(from + lane.steps), to);
    }
    state = merged(phase, replicas, state, ends, buffers);
    updates = replicas.moments === 'reset' ? atRest(phase, to) : counted;
    from = to;
  }
  (trainer as Trainer | null)?.program.dispose();
  return state;
}

interface End {
  readonly state: State;
  readonly examples: number;
}

/** The state that a lane ends with. Its steps count on from where its round began, and have their places on the schedule. */
async function trainLane(
  { program, step, stateNames }: Trainer,
  lane: Lane,
  begun: State,
  settings: PhaseSettings,
  drawn: Drawn,
): Promise<State> {
  const { batch } = settings.batches;
  program.write(begun);
  const texts = laneTexts(program, settings, lane.slot);
  for (let i = 0; i < lane.steps; i++) {
    const seen = (placeOf(lane, i) - 1) * batch;
    const left = step(lane.from + 1 + i, drawn.batch(lane.first - 1 + i, batch), seen).texts;
    if (left) texts?.add(left);
    // Signals have their turn.
    await yieldToEvents();
  }
  texts?.leave();
  return copied(program.read(stateNames));
}

const copied = (values: Values): State =>
  Object.fromEntries(Object.entries(values).map(([name, of]) => [name, Float32Array.from(of)]));

const momentNames = ({ parameters, frozen }: PhaseState) =>
  parameters.flatMap(({ name }) => (frozen.has(name) ? [] : [firstMoment(name), secondMoment(name)]));

const momentsOf = (phase: PhaseState, state: State): State =>
  Object.fromEntries(momentNames(phase).map((name) => [name, state[name]!]));

/** The state after a round: parameters by the outer step, all else by its mean, tables of tokens and of texts row by row. */
function merged(
  phase: PhaseState,
  { moments, outer }: Replicas,
  before: State,
  ends: readonly End[],
  buffers: State,
): State {
  const parameters = new Map(phase.parameters.map((one) => [one.name, one]));
  const rows = new Map<string, number>();
  for (const { name, shape, byToken } of phase.parameters)
    if (byToken) for (const key of [name, firstMoment(name), secondMoment(name)]) rows.set(key, shape[1]!);
  for (const { name, shape, bySlot } of phase.computed) if (bySlot) rows.set(computedState(name), shape[1]!);
  const own = new Set(momentNames(phase));
  const after: State = {};
  for (const [name, values] of Object.entries(before)) {
    if (moments === 'reset' && own.has(name)) after[name] = new Float32Array(values.length);
    else if (moments === 'kept' && own.has(name)) after[name] = ends[0]!.state[name]!;
    else {
      const isTrained = parameters.has(name) && !phase.frozen.has(name);
      if (isTrained) buffers[name] ??= new Float32Array(values.length);
      const by = isTrained ? outer : plainMean;
      after[name] = mergedTensor(name, values, ends, by, rows.get(name) ?? values.length, buffers[name]);
    }
  }
  return after;
}

function mergedTensor(
  name: string,
  before: Float32Array,
  ends: readonly End[],
  outer: Outer,
  width: number,
  buffer?: Float32Array,
): Float32Array {
  const after = Float32Array.from(before);
  const ofRows = width < before.length;
  for (let from = 0; from < before.length; from += width) {
    // A row is sent by those that changed it, and where none did it stays.
    const there = ofRows ? ends.filter(({ state }) => differs(state[name]!, before, from, width)) : ends;
    if (there.length === 0) continue;
    const total = there.reduce((sum, { examples }) => sum + examples, 0);
    const shares = there.map(({ state, examples }) => ({ values: state[name]!, share: examples / total }));
    for (let i = from; i < from + width; i++) {
      let mean = shares[0]!.share * shares[0]!.values[i]!;
      for (let k = 1; k < shares.length; k++) mean += shares[k]!.share * shares[k]!.values[i]!;
      let v = 0;
      if (buffer && outer.momentum > 0) v = buffer[i] = bufferAfter(outer, mean - before[i]!, buffer[i]!);
      after[i] = valueAfter(outer, before[i]!, mean, v);
    }
  }
  return after;
}

function differs(a: Float32Array, b: Float32Array, from: number, count: number): boolean {
  for (let i = from; i < from + count; i++) if (!Object.is(a[i], b[i])) return true;
  return false;
}
