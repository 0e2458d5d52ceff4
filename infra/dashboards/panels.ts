/** One curve or figure: what is asked of Prometheus, and what it is called beside the picture. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
}

export interface PanelText {
  readonly title: string;
  /** What it means, and when to look closer. */
  readonly about: string;
  /** As Grafana names units. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** A figure rather than curves. */
  readonly stat?: boolean;
  /** Above it, or below the second, the figure is red. */
  readonly bad?: { readonly above: number };
}

export interface RowText {
  readonly title: string;
  readonly panels: readonly PanelText[];
}

/** Of the runs and phases that are chosen at the top. */
const chosen = 'run=~"$run",phase=~"$phase"';
const ofPhase = '{{run}}/{{phase}}';
const one = (expr: string, legend = ofPhase): readonly Query[] => [{ expr, legend }];
/** Several workers may show one phase within a minute of each other. */
const phases = (metric: string) => `max by (run, phase) (${metric}{${chosen}})`;
const rose = (counter: string) => `sum by (run, phase) (increase(${counter}{${chosen}}[1h]))`;

/** Everything that the dashboard shows. Expressions name metrics that a worker really has: a test asks one for them. */
export const rows: readonly RowText[] = [
  {
    title: 'Now',
    panels: [
      {
        title: 'Phases that train',
        about: 'Phases that made a step within the last minutes.',
        unit: 'short',
        stat: true,
        queries: one('count(max by (run, phase) (siglip2_step)) or vector(0)', 'phases'),
      },
      {
        title: 'Phases that wait for a person',
        about: '`status` says why, and what to type.',
        unit: 'short',
        stat: true,
        bad: { above: 0 },
        queries: one('max(siglip2_waiting_phases)', 'phases'),
      },
      {
        title: 'Shards that wait for a device',
        about: 'Nobody has taken them. New workers come for them where something scales on this figure.',
        unit: 'short',
        stat: true,
        queries: one('max(siglip2_queue_backlog{queue="siglip2-gpu"})', 'shards'),
      },
      {
        title: 'Workers',
        about: 'Processes that answer, by the queues that they serve.',
        unit: 'short',
        stat: true,
        queries: one('count by (queues) (siglip2_worker_info)', '{{queues}}'),
      },
      {
        title: 'Oldest checkpoint',
        about: 'What a kill would cost now.',
        unit: 's',
        stat: true,
        queries: one('max(time() - siglip2_last_commit_timestamp_seconds)', 'age'),
      },
      {
        title: 'Temporal answers',
        about: '1 where a worker for workflows reaches it.',
        unit: 'short',
        stat: true,
        queries: one('min(siglip2_temporal_up)', 'answers'),
      },
    ],
  },
  {
    title: 'Training',
    panels: [
      {
        title: 'Loss',
        about: 'Of the last step, all objectives.',
        unit: 'short',
        queries: one(phases('siglip2_loss')),
      },
      { title: 'Step', about: 'The last one that was made.', unit: 'short', queries: one(phases('siglip2_step')) },
      {
        title: 'Examples a second',
        about: 'As the trainer measures it.',
        unit: 'short',
        queries: one(phases('siglip2_examples_per_second')),
      },
      {
        title: 'Waiting for data',
        about:
          'Share of the time in which a step could have run and had no batch. Above a tenth the loader or the link is slow.',
        unit: 'percentunit',
        queries: one(phases('siglip2_data_wait_ratio')),
      },
    ],
  },
  {
    title: 'Checkpoints',
    panels: [
      {
        title: 'Steps since the last commit',
        about: 'Should fall to nought as often as a checkpoint is due.',
        unit: 'short',
        queries: one(`max by (run, phase) (siglip2_step{${chosen}} - siglip2_last_commit_step{${chosen}})`),
      },
      {
        title: 'Seconds a commit',
        about:
          'From the snapshot on the disk to the commit in the bucket. The grace period of a worker has to be longer.',
        unit: 's',
        queries: one(
          `sum by (run, phase) (increase(siglip2_commit_seconds_total{${chosen}}[15m])) / sum by (run, phase) (increase(siglip2_commits_total{${chosen}}[15m]) > 0)`,
        ),
      },
      {
        title: 'Commits in an hour',
        about: 'Checkpoints that came to stand.',
        unit: 'short',
        queries: one(rose('siglip2_commits_total')),
      },
      {
        title: 'Snapshots that could not be sent',
        about: 'The store was away, and they were tried again. Training goes on meanwhile, and a kill costs more.',
        unit: 'short',
        queries: one(rose('siglip2_store_failures_total')),
      },
    ],
  },
  {
    title: 'Troubles',
    panels: [
      {
        title: 'Attempts again',
        about: 'Shards that were begun anew in the last hour, since a worker died or a shard failed.',
        unit: 'short',
        queries: one(rose('siglip2_retries_total')),
      },
      {
        title: 'Steps made again',
        about: 'No checkpoint held them: a kill, or a grace period that is shorter than a commit.',
        unit: 'short',
        queries: one(`sum by (run, phase) (siglip2_lost_steps_total{${chosen}})`),
      },
      {
        title: 'Trainers that crashed or hung',
        about: 'Out of memory, most often. The worker starts another from the last commit.',
        unit: 'short',
        queries: one(rose('siglip2_trainer_crashes_total')),
      },
      {
        title: 'Divergences',
        about:
          'Steps that a phase could not go on from: it goes back to its last checkpoint, and may leave the batch out.',
        unit: 'short',
        queries: one(rose('siglip2_divergences_total')),
      },
    ],
  },
  {
    title: 'Queues and workers',
    panels: [
      {
        title: 'Waiting on queues',
        about: 'Activities that nobody has taken.',
        unit: 'short',
        queries: one('max by (queue) (siglip2_queue_backlog)', '{{queue}}'),
      },
      {
        title: 'Workers on queues',
        about: 'Those that asked for work within the last minutes.',
        unit: 'short',
        queries: one('max by (queue) (siglip2_queue_pollers)', '{{queue}}'),
      },
      {
        title: 'Activities at work',
        about: 'By queue. A device has one slot.',
        unit: 'short',
        queries: one(
          'sum by (task_queue) (temporal_worker_task_slots_used{worker_type="ActivityWorker"})',
          '{{task_queue}}',
        ),
      },
      {
        title: 'Activities that failed',
        about: 'By kind, in an hour. What is tried again counts too.',
        unit: 'short',
        queries: one('sum by (activity_type) (increase(temporal_activity_execution_failed[1h]))', '{{activity_type}}'),
      },
      {
        title: 'Requests to Temporal that failed',
        about: 'A second, by operation. Long polls that end empty are not among them.',
        unit: 'reqps',
        queries: one('sum by (operation) (rate(temporal_request_failure[5m]))', '{{operation}}'),
      },
      {
        title: 'Answers of Temporal, 95 %',
        about: 'Seconds or milliseconds, as the SDK counts them; long polls left out.',
        unit: 'ms',
        queries: one('histogram_quantile(0.95, sum by (le) (rate(temporal_request_latency_bucket[5m])))', 'requests'),
      },
    ],
  },
  {
    title: 'Money and time',
    panels: [
      {
        title: 'Spent in a day',
        about: 'At the prices that the workers were told, in their currency; nought where they were told none.',
        unit: 'short',
        queries: one(`sum by (run, phase) (increase(siglip2_cost_total{${chosen}}[24h]))`),
      },
      {
        title: 'What devices were held for',
        about: 'Of the workers that there are now. Time that is repeated or that prepares makes no step.',
        unit: 's',
        queries: one(`sum by (part) (siglip2_device_seconds{${chosen}})`, '{{part}}'),
      },
      {
        title: 'From start to first step',
        about: 'What a new worker needs, by part: each costs a device that makes no step.',
        unit: 's',
        queries: one('max by (part) (siglip2_worker_first_step_seconds)', '{{part}}'),
      },
    ],
  },
  {
    title: 'Evaluations',
    panels: [
      {
        title: 'Figures',
        about: 'Of evaluations that ended on a worker since it was started.',
        unit: 'short',
        queries: one(
          `max by (run, phase, task, evaluator, figure) (siglip2_evaluation{${chosen}})`,
          '{{run}}/{{phase}} {{task}} {{evaluator}} {{figure}}',
        ),
      },
    ],
  },
];
