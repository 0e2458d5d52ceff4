import type { Exchange } from './exchange.ts';
import { deltaSize } from './layout.ts';
import { type Link, linkBits, type Transfer, transferSeconds } from './link.ts';
import { numbersIn, type RoundParameter, rowsOf } from './parameters.ts';
import type { Rounder } from './rounding.ts';
import { expectedTokens } from './zipf.ts';

/** What a round consists of. */
export interface RoundPlan {
  readonly parameters: readonly RoundParameter[];
  /** What is averaged as it is, in f32 both ways: moments where these are, teachers. */
  readonly others?: readonly RoundParameter[];
  /** Of these what would be left if moments began at zero. */
  readonly besideMoments?: readonly RoundParameter[];
  /** Of these the one whose rows are written by slots, and how many of them each writes. */
  readonly bank?: { readonly name: string; readonly rows: number };
  /** Bytes of the moments of a slot that keeps its own: sent, fetched again, and part of the state. */
  readonly kept?: number;
  /** Bytes of the state, which who merges commits and a newcomer fetches; and of the buffers of the outer step. */
  readonly state?: number;
  readonly outer?: number;
  /** Of the state, moments, which it would not have if they began at zero. */
  readonly moments?: number;
  /** Tables of which every row changes, since a softmax goes over all of them. */
  readonly everyRow: ReadonlySet<string>;
  readonly exchange: Exchange;
  readonly workers: number;
  /** Of a replica in a round. */
  readonly steps: number;
  /** Of a step: examples, and seconds on the device. */
  readonly examples: number;
  readonly stepSeconds: number;
  /** Of a text, as it is looked up in the table. */
  readonly tokens: number;
  /** Of an example, as it is fetched; 0 where it lies on the worker, null where that is not known. */
  readonly dataBytes: number | null;
  readonly link: Link;
  /** Of the merger. */
  readonly mergerLink: Link;
  readonly up: Transfer;
  readonly down: Transfer;
  /** Of the checkpoint, as all checkpoints go up. */
  readonly commits: Transfer;
  /** Small questions to store and Temporal, one after another, by a worker and by the merger, and what all of them take where nothing is far. */
  readonly asks: { readonly worker: number; readonly merger: number; readonly seconds: number };
  /** Seconds a number on one core: to write a change, to apply the merged one, to add that of a member, and to merge. */
  readonly work: { readonly write: number; readonly apply: number; readonly member: number; readonly merge: number };
  /** Seconds a byte of a state on one core: to copy it into the next, to verify it, to load and save it in the trainer, to commit it. */
  readonly passes: Readonly<Record<'copy' | 'verify' | 'load' | 'save' | 'commit', number>>;
  /** Whether each worker merges its share of the parameters, and writes that of the checkpoint, over its own link, in the place of one that merges all. */
  readonly shared?: boolean;
}

/** A round as it goes by, in seconds; parts come one after another. */
export interface RoundTime {
  /** Rows of tables that are sent, by their names. */
  readonly rows: Readonly<Record<string, number>>;
  readonly upBytes: number;
  readonly downBytes: number;
  /** Bytes a second that examples take while steps are made. */
  readonly dataRate: number | null;
  /** The merged change comes, and the state is made by it. */
  readonly down: number;
  readonly apply: number;
  /** The trainer loads the state, and in the end saves its own. */
  readonly state: number;
  /** On the device, and how much longer since examples don't come as fast. */
  readonly train: number;
  readonly starved: number;
  readonly write: number;
  readonly up: number;
  /** The merger fetches what the workers sent, merges it into the state that it verified before, and hands in the result. */
  readonly mergerDown: number;
  readonly merge: number;
  readonly mergerUp: number;
  /** What store and Temporal are asked beside. */
  readonly asks: number;
  readonly wall: number;
  /** Device-seconds in steps, of workers times wall. */
  readonly utilisation: number;
  /** What a worker fetches that has nothing of the phase, and how long that takes. */
  readonly joinBytes: number;
  readonly join: number;
}

/** What a round takes, as it is built: nothing is overlapped. */
export function roundTime(plan: RoundPlan): RoundTime {
  const { parameters, workers, link, mergerLink, work, passes } = plan;
  const numbers = numbersIn(parameters);
  const own = touchedRows(plan, 1);
  const all = touchedRows(plan, workers);
  const head = { exchange: plan.exchange, seed: 1, round: 1, examples: plan.steps * plan.examples };
  const { others = [], kept = 0, outer = 0 } = plan;
  const state = plan.state ?? 4 * numbers;
  const averaged = (rows: ReadonlyMap<string, number>, from: Rounder) =>
    others.length > 0 ? deltaSize({ ...head, exchange: 'f32', from }, others, rows) : 0;
  const upBytes = deltaSize({ ...head, from: 0 }, parameters, own) + averaged(own, 0) + kept;
  const change = deltaSize({ ...head, from: 'merged' }, parameters, all) + averaged(all, 'merged');
  // A change that is more than the state is not fetched; moments that are kept are those of the lowest slot, and one's own.
  const downBytes = Math.min(change + kept, state) + kept;
  const train = plan.steps * plan.stepSeconds;
  const dataRate = plan.dataBytes === null ? null : (plan.dataBytes * plan.examples) / plan.stepSeconds;
  const dataSeconds = (train * 8 * (dataRate ?? 0)) / linkBits(link, plan.down);
  // What is no parameter is copied.
  const made = numbers * work.apply + Math.max(0, state - 4 * numbers) * passes.copy;
  const merging = numbers * (workers * work.member + work.merge) + passes.verify * (state + outer) + made;
  const share = plan.shared ? 1 / workers : 1;
  const committed = share * ((plan.state ?? 0) + outer);
  const way = plan.shared ? link : mergerLink;
  // A fast link waits for the hashes.
  const handedIn = (bytes: number, transfer: Transfer) =>
    Math.max(transferSeconds(bytes, way, transfer), bytes * passes.commit);
  const parts = {
    down: transferSeconds(downBytes, link, plan.down, workers),
    apply: made,
    state: state * (passes.load + passes.save),
    train,
    starved: Math.max(0, dataSeconds - train),
    write: numbers * work.write,
    up: transferSeconds(upBytes, link, plan.up, workers),
    mergerDown: transferSeconds(share * (workers * upBytes + outer), way, plan.down),
    merge: share * merging,
    mergerUp: handedIn(share * change, plan.up) + handedIn(committed, plan.commits),
    asks: plan.asks.seconds + plan.asks.worker * link.latency + plan.asks.merger * mergerLink.latency,
  };
  const wall = Object.values(parts).reduce((a, b) => a + b, 0);
  return {
    rows: Object.fromEntries([...own].filter(([name]) => parameters.some((one) => one.name === name))),
    upBytes,
    downBytes,
    dataRate,
    ...parts,
    wall,
    utilisation: train / wall,
    joinBytes: state,
    join: transferSeconds(state, link, plan.down),
  };
}

function touchedRows(
  { parameters, others = [], everyRow, tokens, bank, steps, examples }: RoundPlan,
  replicas: number,
): Map<string, number> {
  const texts = replicas * steps * examples;
  const tables = [...parameters, ...others].filter(({ byRow }) => byRow);
  return new Map(
    tables.map((table) => {
      const { name } = table;
      const all = rowsOf(table);
      if (name === bank?.name) return [name, Math.min(all, replicas * bank.rows)];
      return [name, everyRow.has(name) ? all : Math.round(expectedTokens(all, texts * tokens))];
    }),
  );
}

/** Requests of a round to the store that are not for examples. */
export function roundRequests({ upBytes, downBytes }: RoundTime, plan: RoundPlan) {
  const { workers, up, down, commits, state, outer = 0 } = plan;
  const parts = (bytes: number, { part }: Transfer) => Math.ceil(bytes / part);
  // Several parts are begun and joined; each file is looked for, and named by a small object.
  const writes = (bytes: number, way: Transfer) => (bytes > way.part ? parts(bytes, way) + 2 : 1) + 1;
  const reads = (bytes: number) => parts(bytes, down) + 2;
  return {
    writes: workers * writes(upBytes, up) + writes(downBytes, up) + (state ? writes(state + outer, commits) : 0),
    reads: workers * reads(downBytes) + workers * reads(upBytes),
  };
}

/**
 * Events of a round in the history of its workflow: an activity is scheduled, started and completed, and each answer that
 * does not come together with another wakes the workflow by three more.
 */
export function roundEvents(workers: number): { readonly least: number; readonly most: number } {
  const activities = workers + 1;
  return { least: 3 * activities + 6, most: 6 * activities };
}
