import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Attempt, Dependencies } from '../../activities/dependencies.ts';
import { keepDocument } from '../../activities/documents.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { ShardHeartbeat, ShardInput } from '../../activities/types/shard.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { tinySettings } from '../train/settings.ts';

const script = fileURLToPath(new URL('../trainer/fake-trainer.mjs', import.meta.url));
const batch = tinySettings.batches.batch;

/** A worker's hands without the worker: folders and a trainer that speaks the protocol and can be made to fail. */
export interface Hands {
  readonly folder: string;
  deps(store: ObjectStore, changes?: Partial<Dependencies>): Dependencies;
  trainer(fault?: object): TrainerProcess;
  attempt(changes?: { signal?: AbortSignal }): Attempt & { beats: ShardHeartbeat[] };
  close(): Promise<void>;
}

export function hands(): Hands {
  const folder = mkdtempSync(join(tmpdir(), 'activities-'));
  const trainers: TrainerProcess[] = [];
  let attempts = 0;
  const made: Hands = {
    folder,
    trainer(fault = {}) {
      const env = { ...process.env, FAKE_FAULT: JSON.stringify(fault) };
      const lockFile = join(folder, `device-${trainers.length}.lock`);
      const trainer = createTrainerProcess({ lockFile, log: { info() {}, warn() {} }, script, env });
      trainers.push(trainer);
      return trainer;
    },
    deps: (store, changes = {}) => ({
      store,
      scratch: join(folder, 'scratch'),
      log: { info() {}, warn() {} },
      codeVersion: '0.0.0',
      uploadRetryMs: 20,
      ...changes,
      trainer: changes.trainer ?? made.trainer(),
    }),
    attempt({ signal = new AbortController().signal } = {}) {
      const beats: ShardHeartbeat[] = [];
      const heartbeat = (details: unknown) => void beats.push(details as ShardHeartbeat);
      return { id: `a${++attempts}`, number: attempts, signal, heartbeat, beats };
    },
    async close() {
      for (const trainer of trainers) await trainer.close();
      rmSync(folder, { recursive: true });
    },
  };
  return made;
}

/** A phase of 60 steps with a checkpoint every 10, of a model that only has a name. */
export async function planOf(store: ObjectStore, run: string, change: object = {}): Promise<PhasePlan> {
  return {
    run,
    phase: 'pretrain',
    recipeHash: 'r'.repeat(64),
    settings: await keepDocument(store, run, 'settings', { ...tinySettings, ...change }),
    index: await keepDocument(store, run, 'index', { prefix: 'data', fingerprint: 'f', shards: [] }),
    dataFingerprint: 'f'.repeat(64),
    batch,
    origin: null,
    branches: [],
    from: { step: 0, examples: 0 },
    to: { step: 60, examples: 60 * batch },
    shardSteps: 30,
    checkpointEvery: 10,
  };
}

export const shard = (
  plan: PhasePlan,
  toStep: number,
  from: CheckpointRef | null = null,
  revision = 0,
): ShardInput => ({ plan, parent: null, toStep, from, revision });
