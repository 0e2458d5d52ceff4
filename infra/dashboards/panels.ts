import { kindsOf } from '../../src/evaluate/figure-kind.ts';

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
  /** Curves where there is none: a figure as it is now, or bars beside their names. */
  readonly as?: 'figure' | 'bars';
  /** Above, or below, it is red. */
  readonly bad?: { readonly above: number } | { readonly below: number };
  /** What is said in place of a value. */
  readonly words?: Readonly<Record<string, string>>;
  /** What is said where there is nothing to show. */
  readonly none?: string;
  /** Things that are counted: no fractions, which `increase` makes, and an axis that has room for one. */
  readonly whole?: boolean;
  /** How many digits, where Grafana would show as many as tell neighbours apart. */
  readonly digits?: number;
  /** Curves that lie on one another and add up. */
  readonly stacked?: boolean;
  /** May be below nought, so that the axis begins where the curve does. */
  readonly signed?: boolean;
  /** Columns of 24; a figure has 4 and curves 12. */
  readonly width?: number;
  /** Rows; a figure has 4 and curves 8. */
  readonly height?: number;
  /** Many curves with long names: a line for each below, with its last value. */
  readonly listed?: boolean;
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
/** What a figure is compared with, or looser and finer forms of it: a task has dozens, and one says how it went. */
const secondary = ['chance', 'chance_r1', 'deviation', 'top5', 'r5', 'r10', 'mean_per_class'];
const evaluated = (which: string) =>
  one(
    `max by (run, phase, task, evaluator, view, figure) (siglip2_evaluation{${chosen},${which}})`,
    '{{run}}/{{phase}} {{task}} {{evaluator}} {{figure}} {{view}}',
  );

/** Everything that the dashboard shows. Expressions name metrics that a worker really has: a test asks one for them. */
export const rows: readonly RowText[] = [
  {
    title: 'Now',
    panels: [
      {
        title: 'In training',
        about: 'Phases that made a step within the last minutes.',
        unit: 'locale',
        whole: true,
        as: 'figure',
        queries: one('count(max by (run, phase) (siglip2_step)) or vector(0)', 'phases'),
      },
      {
        title: 'Need a person',
        about: 'Phases that wait for one. `status` says why, and what to type.',
        unit: 'short',
        as: 'figure',
        bad: { above: 0 },
        none: 'unknown',
        queries: one('max(siglip2_waiting_phases)', 'phases'),
      },
      {
        title: 'Shards queued',
        about:
          'They wait for a device, and nobody has taken them. New workers come for them where something scales on this figure.',
        unit: 'short',
        as: 'figure',
        none: 'unknown',
        queries: one('max(siglip2_queue_backlog{queue="siglip2-gpu"})', 'shards'),
      },
      {
        title: 'Workers',
        about: 'Processes that answer, by the queues that they serve.',
        unit: 'short',
        as: 'figure',
        none: 'none',
        queries: one('count by (queues) (siglip2_worker_info)', '{{queues}}'),
      },
      {
        title: 'Unsaved for',
        about:
          'How long ago the newest checkpoint of a phase that trains was committed. A kill costs no more now; less where the phase had to wait for a device.',
        unit: 's',
        as: 'figure',
        digits: 1,
        none: 'nothing trains',
        queries: one('max(time() - siglip2_last_commit_timestamp_seconds)', 'age'),
      },
      {
        title: 'Temporal',
        about: 'Whether it answers each worker for workflows.',
        unit: 'short',
        as: 'figure',
        bad: { below: 1 },
        words: { 1: 'answers', 0: 'away' },
        none: 'unknown',
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
        signed: true,
        queries: one(phases('siglip2_loss')),
      },
      {
        title: 'Step',
        about: 'The last one that was made.',
        unit: 'locale',
        whole: true,
        queries: one(phases('siglip2_step')),
      },
      {
        title: 'Examples a second',
        about: 'As the trainer measures it; of the fastest worker where several train a phase in rounds.',
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
    title: 'Troubles',
    panels: [
      {
        title: 'Attempts again',
        about: 'Shards that were begun anew in the last hour, since a worker died or a shard failed.',
        unit: 'locale',
        whole: true,
        queries: one(rose('siglip2_retries_total')),
      },
      {
        title: 'Steps made again',
        about: 'No checkpoint held them: a kill, or a grace period that is shorter than a commit.',
        unit: 'locale',
        whole: true,
        queries: one(`sum by (run, phase) (siglip2_lost_steps_total{${chosen}})`),
      },
      {
        title: 'Trainers that crashed or hung',
        about: 'Out of memory, most often. The worker starts another from the last commit.',
        unit: 'locale',
        whole: true,
        queries: one(rose('siglip2_trainer_crashes_total')),
      },
      {
        title: 'Divergences',
        about:
          'Steps that a phase could not go on from: it goes back to its last checkpoint, and may leave the batch out.',
        unit: 'locale',
        whole: true,
        queries: one(rose('siglip2_divergences_total')),
      },
    ],
  },
  {
    title: 'Checkpoints',
    panels: [
      {
        title: 'Steps since the last commit',
        about: 'Should fall to nought as often as a checkpoint is due. Phases in rounds have none: each round is one.',
        unit: 'locale',
        whole: true,
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
        unit: 'locale',
        whole: true,
        queries: one(rose('siglip2_commits_total')),
      },
      {
        title: 'Snapshots that could not be sent',
        about: 'The store was away, and they were tried again. Training goes on meanwhile, and a kill costs more.',
        unit: 'locale',
        whole: true,
        queries: one(rose('siglip2_store_failures_total')),
      },
    ],
  },
  {
    title: 'Queues and workers',
    panels: [
      {
        title: 'Waiting on queues',
        about: 'Activities that nobody has taken.',
        unit: 'locale',
        whole: true,
        queries: one('max by (queue) (siglip2_queue_backlog)', '{{queue}}'),
      },
      {
        title: 'Workers on queues',
        about: 'Those that asked for work within the last minutes.',
        unit: 'locale',
        whole: true,
        queries: one('max by (queue) (siglip2_queue_pollers)', '{{queue}}'),
      },
      {
        title: 'Activities at work',
        about: 'By queue. A device has one slot.',
        unit: 'locale',
        whole: true,
        queries: one(
          'sum by (task_queue) (temporal_worker_task_slots_used{worker_type="ActivityWorker"})',
          '{{task_queue}}',
        ),
      },
      {
        title: 'Activities that failed',
        about: 'By kind, in an hour. What is tried again counts too.',
        unit: 'locale',
        whole: true,
        none: 'none has failed',
        queries: one('sum by (activity_type) (increase(temporal_activity_execution_failed[1h]))', '{{activity_type}}'),
      },
      {
        title: 'Requests to Temporal that failed',
        about: 'By operation, in an hour. Long polls that end empty are not among them.',
        unit: 'locale',
        whole: true,
        none: 'none has failed',
        queries: one('sum by (operation) (increase(temporal_request_failure[1h]))', '{{operation}}'),
      },
      {
        title: 'Answers of Temporal, 95 %',
        about: 'What 95 of 100 requests of the workers took at most; long polls left out.',
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
        digits: 2,
        width: 10,
        queries: one(`sum by (run, phase) (increase(siglip2_cost_total{${chosen}}[24h]))`),
      },
      {
        title: 'What devices were held for',
        about: 'Of the workers that there are now. Time that is repeated or that prepares makes no step.',
        unit: 'dthms',
        stacked: true,
        width: 7,
        queries: one(`sum by (part) (siglip2_device_seconds{${chosen}})`, '{{part}}'),
      },
      {
        title: 'From start to first step',
        about: 'What the slowest worker needed, by part: each costs a device that makes no step.',
        unit: 's',
        as: 'bars',
        width: 7,
        none: 'no worker has made a step',
        queries: one('sort_desc(max by (part) (siglip2_worker_first_step_seconds))', '{{part}}'),
      },
    ],
  },
  {
    title: 'Evaluations',
    panels: [
      {
        title: 'Shares',
        about:
          'Of evaluations that ended on a worker since it was started: top1 and r1, without top5, r5 and the like. `siglip2 report` has all, with their intervals.',
        unit: 'percentunit',
        width: 24,
        height: 12,
        listed: true,
        none: 'no task has been evaluated here',
        queries: evaluated(`figure!~"(.*[.])?(${[...secondary, ...kindsOf.counts, ...kindsOf.numbers].join('|')})"`),
      },
      {
        title: 'Figures with a unit of their own',
        about: 'Losses, errors of depth, angles: of the same evaluations.',
        unit: 'short',
        signed: true,
        width: 24,
        listed: true,
        none: 'no task that was evaluated here has any',
        queries: evaluated(`figure=~"(.*[.])?(${[...kindsOf.numbers].join('|')})"`),
      },
    ],
  },
];
