import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { type NativeConnection, Worker } from '@temporalio/worker';
import { keepDocument } from '../../activities/documents.ts';
import { createActivities } from '../../activities/index.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { mostOf, type Replicas } from '../../src/recipe/replicas.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { siglip2Phase } from '../../workflows/phase.ts';
import { activities } from '../workflows/fake-activities.ts';
import { bundled } from '../workflows/workflow-bundle.ts';

/** The phase whose rounds are measured: it has no data, since its trainers read none. */
export const benchPhase = { run: 'bench', phase: 'pretrain' } as const;

interface BenchRounds {
  readonly settings: PhaseSettings;
  readonly replicas: Replicas;
  readonly rounds: number;
}

export async function startPhase(
  client: Client,
  store: ObjectStore,
  { settings, replicas, rounds }: BenchRounds,
): Promise<WorkflowHandleWithFirstExecutionRunId<typeof siglip2Phase>> {
  const { steps } = replicas;
  const to = rounds * mostOf(replicas) * steps;
  const hash = 'a'.repeat(64);
  const plan: PhasePlan = {
    ...{ ...benchPhase, recipeHash: hash, dataFingerprint: hash, batch: settings.batches.batch },
    settings: await keepDocument(store, benchPhase.run, 'settings', { ...settings, replicas }),
    index: await keepDocument(store, benchPhase.run, 'index', { prefix: 'data', fingerprint: 'f', shards: [] }),
    ...{ origin: null, branches: [], from: { step: 0, examples: 0 }, shardSteps: steps, checkpointEvery: steps },
    to: { step: to, examples: to * settings.batches.batch },
    replicas,
  };
  const args: [{ plan: PhasePlan }] = [{ plan }];
  const workflowId = `${benchPhase.run}/${benchPhase.phase}`;
  return client.workflow.start<typeof siglip2Phase>('siglip2Phase', { taskQueue: 'siglip2', workflowId, args });
}

/** The worker that has no device: workflows, and merges in this process, beside the store. */
export async function mergingWorker(
  connection: NativeConnection,
  store: ObjectStore,
  scratch: string,
): Promise<Worker> {
  const log = { info() {}, warn() {}, error() {} };
  const { mergeRound } = createActivities({ store, scratch, log, codeVersion: '0.0.0' } as never);
  return Worker.create({
    connection,
    taskQueue: 'siglip2',
    workflowBundle: await bundled(),
    activities: { ...activities(), mergeRound },
  });
}
