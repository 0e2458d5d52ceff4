import { type Client, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import {
  decodeArrayFromPayloads,
  decodeOptionalFailureToOptionalError,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { ReplicaHeartbeat } from '../../activities/types/rounds.ts';
import type { Status, RunStatus as ToldByRun } from '../../workflows/messages.ts';
import type { AnnotationStatus, RecipeResult } from '../../workflows/results.ts';
import { findCommits, firstReadable } from '../checkpoint/commits.ts';
import { ordered, readEnd } from '../checkpoint/ends.ts';
import type { Commit } from '../checkpoint/types.ts';
import { addUsed, deviceMsIn } from '../costs/used.ts';
import { RunnerError } from '../runtime/errors.ts';
import { grpcStatus } from '../runtime/grpc-status.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** Something that an activity of the run does now, or waits to do. */
export interface PendingWork {
  readonly activity: string;
  /** As the Temporal CLI wants it, with the workflow that it belongs to. */
  readonly activityId: string;
  readonly workflowId: string;
  /** By `temporal activity pause`. */
  readonly paused: boolean;
  readonly phase: string | null;
  readonly attempt: number;
  /** No worker has taken it yet, or it waits for its next attempt. */
  readonly waiting: boolean;
  /** Seconds until its next attempt, while it waits for that; null when a free worker may take it. */
  readonly nextAttemptSeconds: number | null;
  /** What the attempt before ended with. */
  readonly lastFailure: string | null;
  readonly live: Partial<ReplicaHeartbeat> | null;
  /** How old `live` is. */
  readonly beatSecondsAgo: number | null;
  /** Who has it, or had it last. */
  readonly worker?: string;
}

/** A workflow that prepares data: what it is at, and what it ended with. */
export type DataWork = { readonly report: unknown } & (
  | { readonly type: 'siglip2Pack' | 'siglip2Filter' | 'siglip2Embed' }
  | { readonly type: 'siglip2Annotate'; readonly annotation: AnnotationStatus | null }
);

/** All that can be known of a run from the workflow, its activities and the bucket; what is not reached is null. */
export interface RunStatus {
  readonly run: string;
  /** Of the workflow, such as RUNNING; null when Temporal does not know it, or does not answer. */
  readonly temporal: string | null;
  /** The workflow's own answer; null when no worker is there to give it. */
  readonly workflow: Status | null;
  /** How long ago a worker asked Temporal for workflows, where the workflow did not answer; null when none has lately. */
  readonly workerSecondsAgo: number | null;
  /** What a run that is done ended with; null for all others, and where Temporal no longer has it. */
  readonly result: RecipeResult | null;
  /** Of a workflow that prepares data and has no checkpoints; absent for runs. */
  readonly data?: DataWork;
  readonly pending: readonly PendingWork[];
  readonly newest: Pick<Commit, 'run' | 'phase' | 'step' | 'revision' | 'sha256' | 'committed' | 'metrics'> | null;
  /** What could not be asked, in sentences. */
  readonly problems: readonly string[];
}

/** A query that no worker answers would be waited for too long. */
const queryMs = 2000;
/** A worker asks for work again after a minute at the latest; what was not heard of for longer is gone. */
const pollSeconds = 75;
const workflowQueue = 'siglip2';

/** Joins what Temporal and the bucket say of a run, or of RUN/PHASE alone. RecipeInvalid when neither knows it. */
export async function readRunStatus(client: Client | null, store: ObjectStore, run: string): Promise<RunStatus> {
  const problems: string[] = [];
  const attempt = async <T>(what: string, read: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message.split('\n')[0]}`);
      return otherwise;
    }
  };
  const [temporal, newest] = await Promise.all([
    client ? attempt('Temporal', () => readTemporal(client, run), null) : null,
    attempt('bucket', () => newestOf(store, run), null),
  ]);
  if (temporal === null && newest === null && problems.length === 0)
    throw new RunnerError(
      'RecipeInvalid',
      `no run ${run} is known to Temporal or in bucket ${store.bucket}; siglip2 ls lists them`,
    );
  const none = { temporal: null, workflow: null, workerSecondsAgo: null, result: null, pending: [] };
  return { run, ...(temporal ?? none), newest, problems };
}

async function readTemporal(
  client: Client,
  run: string,
): Promise<Omit<RunStatus, 'run' | 'newest' | 'problems'> | null> {
  const handle = client.workflow.getHandle(run);
  const described = await handle.describe().catch((error) => {
    if (error instanceof WorkflowNotFoundError || (isGrpcServiceError(error) && error.code === grpcStatus.notFound))
      return null;
    throw error;
  });
  if (!described) return null;
  const ids = (described.raw.pendingChildren ?? []).map(({ workflowId }) => workflowId!);
  const done = described.status.name === 'COMPLETED';
  // Waited for to its end: a call that is tried again on a connection that was closed meanwhile ends the process.
  const soon = <T>(call: () => Promise<T>) => client.withDeadline(Date.now() + queryMs, call).catch(() => null);
  const isAnnotation = described.type === 'siglip2Annotate';
  const [workflow, annotation, result, own, ...children] = await Promise.all([
    isAnnotation ? null : soon(() => handle.query<Status>('status')),
    isAnnotation ? soon(() => handle.query<AnnotationStatus>('annotation')) : null,
    done ? soon(() => handle.result()) : null,
    pendingOf(client, described.raw.pendingActivities, run, phaseOf(run)),
    ...ids.map((id) => readChild(client, id, id.slice(run.length + 1), soon)),
  ]);
  const workerSecondsAgo = workflow === null && annotation === null ? await soon(() => lastPoll(client)) : null;
  const pending = [own, ...children.map((child) => child.pending)].flat();
  // A phase alone ends with a checkpoint, and is not evaluated.
  const ofRun = result && typeof result === 'object' && 'phases' in result ? (result as RecipeResult) : null;
  const shown = workflow && withPhases(workflow, children);
  const found = { temporal: described.status.name, workflow: shown, workerSecondsAgo, result: ofRun, pending };
  if (isAnnotation) return { ...found, data: { type: 'siglip2Annotate', annotation, report: result } };
  const { type } = described;
  const prepares = type === 'siglip2Pack' || type === 'siglip2Filter' || type === 'siglip2Embed';
  return prepares ? { ...found, data: { type, report: result } } : found;
}

interface Child {
  readonly phase: string;
  /** Its own answer; null where it gives none, as evaluations do. */
  readonly told: Status | null;
  readonly pending: readonly PendingWork[];
}

/** How often a child is looked at until nothing began or ended meanwhile: what ends counts twice then, or not at all. */
const mostLooks = 3;

async function readChild(
  client: Client,
  id: string,
  phase: string,
  soon: <T>(call: () => Promise<T>) => Promise<T | null>,
): Promise<Child> {
  const handle = client.workflow.getHandle(id);
  const look = async () => (await handle.describe()).raw.pendingActivities;
  let activities = await look();
  let told: Status | null = null;
  // Only phases of the run have the query.
  for (let looks = 0; looks < mostLooks && !phase.includes('/'); looks++) {
    const before = activities;
    told = await soon(() => handle.query<Status>('status'));
    activities = await look();
    if (told === null || namesIn(before) === namesIn(activities)) break;
  }
  return { phase, told, pending: await pendingOf(client, activities, id, phase) };
}

const namesIn = (activities: Raw['pendingActivities']) =>
  (activities ?? [])
    .map(({ activityId }) => activityId)
    .sort()
    .join();

/**
 * A run hears of a shard when its checkpoints are pruned and evaluated, and of a round when that is merged. Where a phase
 * stands, what was used, and who is in, its phases know at once.
 */
function withPhases(workflow: Status, children: readonly Child[]): Status {
  const toldBy = (phase: string | null) => children.find((child) => child.phase === phase)?.told;
  const own = toldBy(workflow.phase);
  const round = workflow.round && own?.round;
  const further = own && own.step > workflow.step ? standingOf(own) : {};
  const shown = { ...workflow, ...further, ...(round && { round }) };
  if (!('phases' in shown)) return shown;
  const phases = (shown as ToldByRun).phases.map((line) => {
    const told = toldBy(line.phase);
    if (!told?.used || (line.used && deviceMsIn(told.used) <= deviceMsIn(line.used))) return line;
    const { step, loss, lastCheckpoint, used } = told;
    return { ...line, step, loss, lastCheckpoint, used };
  });
  const used = phases.flatMap((line) => line.used ?? []);
  return { ...shown, ...(used.length > 0 && { used: used.reduce(addUsed) }), phases } as ToldByRun;
}

/** What a status says of the newest checkpoint of its phase. */
function standingOf(told: Status): Partial<Status> {
  const { step, percent, loss, examplesPerSecond, etaSeconds, revision } = told;
  const { lastCheckpoint, checkpointSha256, attempt, asOf, ageSeconds } = told;
  return {
    ...{ step, percent, loss, examplesPerSecond, etaSeconds, revision },
    ...{ lastCheckpoint, checkpointSha256, attempt, asOf, ageSeconds },
  };
}

/** Seconds since a worker last asked for workflows; null when it is long ago, or there was none. */
async function lastPoll({ connection, options }: Client): Promise<number | null> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace: options.namespace,
    taskQueue: { name: workflowQueue },
    // Of workflows.
    taskQueueType: 1,
  });
  const newest = Math.max(0, ...(pollers ?? []).map((poller) => Number(poller.lastAccessTime?.seconds ?? 0)));
  const ago = Math.max(0, Math.round(Date.now() / 1000 - newest));
  return ago <= pollSeconds ? ago : null;
}

type Raw = Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['describe']>>['raw'];

/** What activities of a workflow do now, or wait to do, of those that its description names. */
export async function pendingOf(
  { options: { loadedDataConverter } }: Client,
  activities: Raw['pendingActivities'],
  workflowId: string,
  phase: string | null,
): Promise<PendingWork[]> {
  const pending = (activities ?? []).map(async (activity): Promise<PendingWork> => {
    const [live] = await decodeArrayFromPayloads(loadedDataConverter, activity.heartbeatDetails?.payloads);
    const failure = await decodeOptionalFailureToOptionalError(loadedDataConverter, activity.lastFailure);
    const next = Number(activity.nextAttemptScheduleTime?.seconds ?? 0) * 1000 - Date.now();
    const beat = Number(activity.lastHeartbeatTime?.seconds ?? 0) * 1000;
    return {
      activity: activity.activityType?.name ?? '',
      activityId: activity.activityId ?? '',
      workflowId,
      paused: activity.paused === true,
      phase,
      attempt: activity.attempt ?? 1,
      // 1 is PENDING_ACTIVITY_STATE_SCHEDULED.
      waiting: activity.state === 1,
      nextAttemptSeconds: activity.state === 1 && next > 0 ? Math.ceil(next / 1000) : null,
      lastFailure: failure?.message ?? null,
      live: (live as Partial<ReplicaHeartbeat> | undefined) ?? null,
      beatSecondsAgo: beat ? Math.max(0, Math.round((Date.now() - beat) / 1000)) : null,
      ...(activity.lastWorkerIdentity && { worker: activity.lastWorkerIdentity }),
    };
  });
  return Promise.all(pending);
}

/** A phase that was started alone is a workflow of its own. */
const phaseOf = (workflowId: string): string | null => workflowId.split('/')[1] ?? null;

async function newestOf(store: ObjectStore, workflowId: string): Promise<RunStatus['newest']> {
  const own = phaseOf(workflowId);
  const found = await findCommits(store, { run: workflowId.split('/')[0]!, ...(own !== null && { phase: own }) });
  let newest: Commit | null = null;
  for (const phase of new Set(found.map((at) => at.phase))) {
    const own = found.filter((at) => at.phase === phase);
    const end = await readEnd(store, { run: own[0]!.run, phase });
    const commit = await firstReadable(store, ordered(own, end));
    if (commit && (!newest || commit.committed > newest.committed)) newest = commit;
  }
  if (!newest) return null;
  const { run, phase, step, revision, sha256, committed, metrics } = newest;
  return { run, phase, step, revision, sha256, committed, metrics };
}
