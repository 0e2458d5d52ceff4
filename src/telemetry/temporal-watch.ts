import type { NativeConnection } from '@temporalio/worker';

/** TASK_QUEUE_TYPE_ACTIVITY and TASK_QUEUE_KIND_NORMAL of Temporal's API. */
const activityType = 2;
const normalKind = 1;
const askMs = 5_000;
/** However often the metrics are read, Temporal is not asked more often. */
const oldestMs = 10_000;

/** Phases that wait for a person. */
const waiting = `SiglipState = 'waiting' AND ExecutionStatus = 'Running'`;

/**
 * How many activities wait on each queue that nobody has taken, how many workers ask for them, and how many phases wait for
 * a person, in Prometheus' text format. The first is the figure that KEDA's scaler goes by. A worker of the light queue
 * tells them, since that one is always there.
 */
export class TemporalWatch {
  readonly #queues: readonly string[];
  readonly #now: () => number;
  #temporal: Temporal | null = null;
  #told: { readonly at: number; readonly text: Promise<string> } | null = null;

  constructor(queues: readonly string[], now: () => number = Date.now) {
    this.#queues = queues;
    this.#now = now;
  }

  /** From now on this connection is asked. */
  use(connection: NativeConnection, namespace: string): void {
    this.#temporal = { connection, namespace };
    this.#told = null;
  }

  text(): Promise<string> {
    if (this.#told === null || this.#now() - this.#told.at >= oldestMs)
      this.#told = { at: this.#now(), text: this.#ask() };
    return this.#told.text;
  }

  async #ask(): Promise<string> {
    const temporal = this.#temporal;
    const orNull = <T>(look: (of: Temporal) => Promise<T>) => (temporal ? look(temporal).catch(() => null) : null);
    const [people, ...found] = await Promise.all([
      orNull(countWaiting),
      ...this.#queues.map((queue) => orNull((of) => lookAt(of, queue))),
    ]);
    const queues = found.filter((one) => one !== null);
    const ofQueue = (value: (one: Looked) => number) =>
      queues.map((one) => [`{queue="${one.queue}"}`, value(one)] as const);
    return [
      series('siglip2_temporal_up', 'Whether Temporal answers.', [['', queues.length === found.length ? 1 : 0]]),
      series(
        'siglip2_queue_backlog',
        'Activities that wait and that nobody has taken.',
        ofQueue((one) => one.backlog),
      ),
      series(
        'siglip2_queue_pollers',
        'Workers that ask for activities.',
        ofQueue((one) => one.pollers),
      ),
      series('siglip2_waiting_phases', 'Phases that wait for a person.', people === null ? [] : [['', people]]),
    ].join('');
  }
}

function series(name: string, help: string, values: readonly (readonly [string, number])[]): string {
  if (values.length === 0) return '';
  const lines = values.map(([labels, value]) => `${name}${labels} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join('')}`;
}

interface Temporal {
  readonly connection: NativeConnection;
  readonly namespace: string;
}

interface Looked {
  readonly queue: string;
  readonly backlog: number;
  readonly pollers: number;
}

async function lookAt({ connection, namespace }: Temporal, queue: string): Promise<Looked> {
  const request = {
    namespace,
    taskQueue: { name: queue, kind: normalKind },
    taskQueueType: activityType,
    reportStats: true,
  };
  const { stats, pollers } = await connection.withDeadline(Date.now() + askMs, () =>
    connection.workflowService.describeTaskQueue(request),
  );
  return { queue, backlog: Number(stats?.approximateBacklogCount ?? 0), pollers: pollers.length };
}

async function countWaiting({ connection, namespace }: Temporal): Promise<number> {
  const { count } = await connection.withDeadline(Date.now() + askMs, () =>
    connection.workflowService.countWorkflowExecutions({ namespace, query: waiting }),
  );
  return Number(count);
}
