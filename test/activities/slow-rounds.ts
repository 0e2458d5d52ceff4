import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Values } from '../../src/compile/definition.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { writeSafetensors } from '../../src/safetensors/safetensors.ts';
import { freshState, writeState } from '../../src/train/state.ts';
import { type SlowExchange, slowlyRounded } from './slow-rounding.ts';

/** Of one round its steps, its slots, which of these are in, and how many steps each has where they are not alike. */
export interface SlowRound {
  readonly steps: number;
  readonly slots: number;
  readonly members: readonly number[];
  readonly lengths?: readonly number[] | undefined;
  /** Otherwise than in the other rounds. */
  readonly moments?: SlowReplicas['moments'];
}

/** What a recipe says of how replicas are merged. */
export interface SlowReplicas {
  readonly exchange: SlowExchange;
  readonly moments: 'averaged' | 'reset' | 'kept';
  readonly outer: { readonly rate: number; readonly momentum: number; readonly nesterov: boolean };
}

const plainMean: SlowReplicas = {
  exchange: 'f32',
  moments: 'averaged',
  outer: { rate: 1, momentum: 0, nesterov: true },
};

type State = Record<string, number[]>;
const isMoment = (name: string) => /^[mv]\//.test(name);
/** Texts of each slot, in a phase that has a bank of them. */
const isBank = (name: string) => name === 'state/textBank';
/** Its rows are tokens, or texts: how many numbers each has. */
const widthOf = (name: string, { model: { text, vision } }: PhaseSettings) =>
  name.endsWith('token_embedding.weight') ? text.width : isBank(name) ? vision.width : null;

/**
 * A phase in rounds as the fake trainer makes its steps, in one process, in memory, by plain loops over single numbers: what
 * every run must come to, given who was in each round. It shares no line with what trains, writes, reads and merges.
 *
 * @returns the checkpoint's sha256 after each round
 */
export async function slowRounds(
  settings: PhaseSettings,
  rounds: readonly SlowRound[],
  all = plainMean,
  /** The first round whose slots write into a bank. */
  { bankFrom = 0 } = {},
): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'slow-rounds-'));
  let state: State = Object.fromEntries(
    Object.entries(freshState(settings)).map(([name, values]) => [name, [...values]]),
  );
  const buffers: State = {};
  let ownMoments = new Map<number, State>();
  let began = 0;
  const hashes: string[] = [];
  try {
    for (const [i, round] of rounds.entries()) {
      const replicas = { ...all, ...(round.moments && { moments: round.moments }) };
      const lanes = lanesOf(began, round);
      const ends = round.members.map((slot) => {
        const own: State = Object.fromEntries(Object.entries(state).map(([name, values]) => [name, [...values]]));
        const kept = ownMoments.get(slot) ?? {};
        for (const [name, values] of Object.entries(kept)) own[name] = [...values];
        for (const [k, batch] of lanes[slot]!.entries())
          step(
            own,
            settings,
            i < bankFrom ? null : slot,
            batch,
            began + 1 + Math.floor((k * round.steps) / lanes[slot]!.length),
          );
        return { slot, own, examples: lanes[slot]!.length * settings.batches.batch };
      });
      const names = Object.keys(state);
      const next: State = {};
      for (const name of names) {
        if (isBank(name)) next[name] = merged(name, settings, began, plainMean, state[name]!, ends, buffers);
        else if (!isMoment(name)) next[name] = merged(name, settings, began, replicas, state[name]!, ends, buffers);
        else if (replicas.moments === 'reset') next[name] = state[name]!.map(() => 0);
        else if (replicas.moments === 'kept') next[name] = ends[0]!.own[name]!;
        else next[name] = merged(name, settings, began, plainMean, state[name]!, ends, buffers);
      }
      const keeps = replicas.moments === 'kept' ? ends : [];
      ownMoments = new Map(
        keeps.map(({ slot, own }) => [
          slot,
          Object.fromEntries(names.filter(isMoment).map((name) => [name, own[name]!])),
        ]),
      );
      state = next;
      began += round.steps;
      hashes.push(await hashOf(folder, settings, replicas, state, buffers));
    }
    return hashes;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Batches of each slot: dealt one by one to know how many each has, then in one piece after the other. */
function lanesOf(began: number, { steps, slots, lengths }: SlowRound): number[][] {
  const lanes: number[][] = Array.from({ length: slots }, () => []);
  if (lengths) for (const [slot, length] of lengths.entries()) lanes[slot]!.push(...new Array<number>(length).fill(0));
  else for (let i = 0; i < steps; i++) lanes[i % slots]!.push(0);
  let next = began;
  for (const lane of lanes) for (let i = 0; i < lane.length; i++) lane[i] = next++;
  return lanes;
}

interface End {
  readonly slot: number;
  readonly own: State;
  readonly examples: number;
}

/** One tensor after a round: the mean by examples of what came over the wire, the outer step, and one more rounding. */
function merged(
  name: string,
  settings: PhaseSettings,
  round: number,
  { exchange, outer: { rate, momentum, nesterov } }: SlowReplicas,
  before: readonly number[],
  ends: readonly End[],
  buffers: State,
): number[] {
  const { seed } = settings;
  const width = widthOf(name, settings);
  const block = width ?? 4096;
  if (momentum > 0) buffers[name] ??= before.map(() => 0);
  const after = [...before];
  for (let from = 0; from < before.length; from += block) {
    const places = before.slice(from, from + block).map((_, i) => from + i);
    // A row of a table is sent by those that changed it, and where none did it stays.
    const there = ends.filter(({ own }) => width === null || places.some((i) => !Object.is(own[name]![i], before[i])));
    if (there.length === 0) continue;
    const values = exchange === 'f32';
    const sent = there.map(({ slot, own }) =>
      slowlyRounded(
        exchange,
        places.map((i) => (values ? own[name]![i]! : own[name]![i]! - before[i]!)),
        block,
        from,
        { seed, round, who: slot, parameter: name },
      ),
    );
    let total = 0;
    for (const { examples } of there) total += examples;
    const led = places.map((i, at) => {
      let mean: number | null = null;
      for (const [k, { examples }] of there.entries()) {
        const part = (examples / total) * sent[k]![at]!;
        mean = mean === null ? part : mean + part;
      }
      const change = values ? mean! - before[i]! : mean!;
      let v = 0;
      if (momentum > 0) {
        v = Math.fround(momentum * buffers[name]![i]! - change);
        buffers[name]![i] = v;
      }
      if (!values) return nesterov || momentum === 0 ? rate * (change - momentum * v) : -rate * v;
      if (momentum === 0 && rate === 1) return mean!;
      if (momentum > 0 && !nesterov) return before[i]! - rate * v;
      return (1 - rate) * before[i]! + rate * mean! - (momentum > 0 ? rate * momentum * v : 0);
    });
    const moved = slowlyRounded(exchange, led, block, from, { seed, round, who: 'merged', parameter: name });
    for (const [at, i] of places.entries()) after[i] = Math.fround(values ? moved[at]! : before[i]! + moved[at]!);
  }
  return after;
}

/** Of a checkpoint with this state, by its files. */
async function hashOf(
  folder: string,
  settings: PhaseSettings,
  { moments, outer }: SlowReplicas,
  state: State,
  buffers: State,
): Promise<string> {
  const values = Object.fromEntries(Object.entries(state).map(([name, of]) => [name, Float32Array.from(of)]));
  // Moments that begin at zero are not there, and have seen no update.
  const zero = { dtype: 'I32', shape: [1], data: new Uint8Array(4) } as const;
  const parameters = Object.keys(state).filter((name) => !isMoment(name) && !isBank(name));
  const tensors = moments === 'reset' ? parameters.map((name) => ({ name: `updates/${name}`, ...zero })) : [];
  const withoutMoments = moments === 'reset';
  const { state: files } = await writeState(folder, settings, values as Values, { tensors, withoutMoments });
  const lines = files.map(({ path, sha256 }) => `${sha256}  ${path}\n`);
  if (outer.momentum > 0) {
    const path = join(folder, 'outer.safetensors');
    const shapes = await shapesIn(join(folder, 'model.safetensors'));
    await writeSafetensors(
      path,
      parameters.map((name) => {
        const data = new Uint8Array(Float32Array.from(buffers[name]!).buffer);
        return { name, dtype: 'F32', shape: shapes[name]!.shape, data } as const;
      }),
    );
    lines.push(
      `${createHash('sha256')
        .update(await readFile(path))
        .digest('hex')}  outer.safetensors\n`,
    );
  }
  lines.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1));
  return createHash('sha256').update(lines.join('')).digest('hex');
}

async function shapesIn(path: string): Promise<Record<string, { readonly shape: number[] }>> {
  const bytes = await readFile(path);
  return JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString());
}

function step(state: State, settings: PhaseSettings, slot: number | null, batch: number, place: number): void {
  const bank = settings.objectives.sigmoid?.bank;
  for (const [name, values] of Object.entries(state)) {
    const width = widthOf(name, settings);
    // Of 4,096 rows each slot has as many; it fills so many of them as a lane has texts.
    const ownRow = bank && slot !== null ? slot * Math.floor(4096 / bank.replicas) : 0;
    const isOwn = (row: number) =>
      isBank(name) ? slot !== null && row >= ownRow && row < ownRow + bank!.rows : row === batch % 7;
    for (let i = 0; i < values.length; i++)
      if (width === null || isOwn(Math.floor(i / width)))
        values[i] = Math.fround(0.9 * values[i]! + Math.sin(values[i]! + batch + 1) / (10 + place) + i * 1e-6);
  }
}
