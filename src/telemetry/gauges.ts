import { addUsed, costOf, nothingUsed, type Used } from '../costs/used.ts';
import { type Counter, type Counts, counterName, counters, noCounts } from './counters.ts';

interface Labels {
  readonly run: string;
  readonly phase: string;
  /** Where the worker has several: they may work for one phase at once. */
  readonly device?: string;
}

interface Shown {
  readonly labels: Labels;
  figures: Readonly<Record<string, number>>;
  /** Null until something is counted. */
  counts: Counts | null;
  /** Since when nobody trains it here; null while it is trained. */
  ended: number | null;
}

/** Figures of an evaluation that ended here, by evaluator, view and path. */
export interface EvaluationGauges extends Labels {
  readonly task: string;
  readonly step: number;
  readonly figures: readonly {
    readonly evaluator: string;
    readonly view: string;
    readonly figure: string;
    readonly value: number;
  }[];
}

/** Tasks of phases of which the last evaluation is shown, and figures of each: what scrapes it keeps every name for long. */
const mostEvaluations = 50;
const mostFigures = 200;
/** Phases of which it is shown what they used here. */
const mostSpent = 200;

/** The next shard of a phase begins within this, if there is one. */
const leaveAfterMs = 60_000;

/**
 * The figures of the phases that are trained here, as Prometheus reads them. Those of a phase that has ended, or goes on
 * elsewhere, leave after a minute. (Temporal's own gauges never do, and take nothing below zero.)
 */
export class Gauges {
  readonly #phases = new Map<string, Shown>();
  readonly #evaluations = new Map<string, EvaluationGauges>();
  readonly #spent = new Map<string, { labels: Labels; before: Used; now: Used }>();
  readonly #now: () => number;
  #worker = '';
  /** By device; '' where there is one. */
  readonly #started = new Map<string, Readonly<Record<string, number>>>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** What this worker is: its version, its device, its queues. */
  describe(worker: Readonly<Record<string, string>>): void {
    const labels = Object.entries(worker).map(([name, value]) => `${name}=${quoted(value)}`);
    this.#worker = `# TYPE siglip2_worker_info gauge\nsiglip2_worker_info{${labels.join(',')}} 1\n`;
  }

  set(labels: Labels, figures: Readonly<Record<string, number>>): void {
    const shown = this.#phase(labels);
    shown.figures = figures;
    shown.ended = null;
  }

  /** Adds to what is counted of a phase, or only begins to count. */
  count(labels: Labels, counter: Counter, by: number): void {
    const shown = this.#phase(labels);
    shown.counts ??= noCounts();
    shown.counts[counter] += by;
    shown.ended = null;
  }

  #phase(labels: Labels): Shown {
    const { run, phase, device } = labels;
    const shown = this.#phases.get(nameOf(labels)) ?? {
      labels: { run, phase, ...(device !== undefined && { device }) },
      figures: {},
      counts: null,
      ended: null,
    };
    this.#phases.set(nameOf(labels), shown);
    return shown;
  }

  ended(labels: Labels): void {
    const shown = this.#phases.get(nameOf(labels));
    if (shown) shown.ended ??= this.#now();
  }

  /** Seconds of each part of the start of this worker, up to its first step; shown until it ends. */
  startedWithin(seconds: Readonly<Record<string, number>>, device = ''): void {
    this.#started.set(device, seconds);
  }

  /** Shown until the worker ends: an evaluation is over when its figures are there. */
  evaluated(of: EvaluationGauges): void {
    const key = `${nameOf(of)}/${of.task}`;
    // The newest comes last, so that the oldest goes first.
    this.#evaluations.delete(key);
    this.#evaluations.set(key, of);
    const [oldest] = this.#evaluations.keys();
    if (this.#evaluations.size > mostEvaluations) this.#evaluations.delete(oldest!);
  }

  /** What an attempt has used up to now; `ended`: and no more. Shown until the worker ends. */
  spent(labels: Labels, used: Used, ended: boolean): void {
    const key = nameOf(labels);
    const before = this.#spent.get(key)?.before ?? nothingUsed;
    this.#spent.delete(key);
    this.#spent.set(
      key,
      ended ? { labels, before: addUsed(before, used), now: nothingUsed } : { labels, before, now: used },
    );
    const [oldest] = this.#spent.keys();
    if (this.#spent.size > mostSpent) this.#spent.delete(oldest!);
  }

  /** In Prometheus' text format. */
  text(): string {
    const lines = new Map<string, string[]>();
    const counted: Shown[] = [];
    for (const [key, shown] of this.#phases) {
      const { labels, figures, ended } = shown;
      if (ended !== null && this.#now() - ended >= leaveAfterMs) {
        this.#phases.delete(key);
        continue;
      }
      counted.push(shown);
      for (const [figure, value] of Object.entries(figures)) {
        const { name, label = '' } = seriesOf(figure);
        const gauge = `siglip2_${snakeCase(name)}`;
        const of = lines.get(gauge) ?? [`# TYPE ${gauge} gauge\n`];
        lines.set(gauge, [...of, `${gauge}{${namesOf(labels)}${label}} ${value}\n`]);
      }
    }
    const started = [...this.#started].flatMap(([device, parts]) =>
      Object.entries(parts).map(
        ([part, seconds]) =>
          `siglip2_worker_first_step_seconds{${device && `device=${quoted(device)},`}part=${quoted(part)}} ${seconds}\n`,
      ),
    );
    if (started.length > 0) lines.set('', ['# TYPE siglip2_worker_first_step_seconds gauge\n', ...started]);
    const spent = [...this.#spent.values()].map(({ labels, before, now }) => ({ labels, used: addUsed(before, now) }));
    const figures = [...lines.values()].flat().join('');
    const evaluations = evaluationText([...this.#evaluations.values()]);
    return this.#worker + figures + countedText(counted) + evaluations + spentText(spent);
  }
}

function countedText(phases: readonly Shown[]): string {
  const counted = phases.flatMap(({ labels, counts }) => (counts ? [{ labels, counts }] : []));
  if (counted.length === 0) return '';
  const names = Object.keys(counters) as Counter[];
  return names
    .map((counter) => {
      const name = counterName(counter);
      const values = counted.map(({ labels, counts }) => `${name}{${namesOf(labels)}} ${counts[counter]}\n`);
      return `# HELP ${name} ${counters[counter]}\n# TYPE ${name} counter\n${values.join('')}`;
    })
    .join('');
}

/** Money is a counter; time by what it was for is none, since what a checkpoint holds at last was called repeated before. */
function spentText(spent: readonly { readonly labels: Labels; readonly used: Used }[]): string {
  if (spent.length === 0) return '';
  const cost = spent.map(({ labels, used }) => `siglip2_cost_total{${namesOf(labels)}} ${costOf(used)}\n`);
  const time = spent.flatMap(({ labels, used }) =>
    Object.entries(used.ms).map(
      ([part, ms]) => `siglip2_device_seconds{${namesOf(labels)},part=${quoted(part)}} ${ms / 1000}\n`,
    ),
  );
  return ['# TYPE siglip2_cost_total counter\n', ...cost, '# TYPE siglip2_device_seconds gauge\n', ...time].join('');
}

/** Two gauges, whatever tasks and figures are called. */
function evaluationText(evaluations: readonly EvaluationGauges[]): string {
  if (evaluations.length === 0) return '';
  const of = ({ run, phase, task }: EvaluationGauges) =>
    `phase=${quoted(phase)},run=${quoted(run)},task=${quoted(task)}`;
  const steps = evaluations.map((one) => `siglip2_evaluation_step{${of(one)}} ${one.step}\n`);
  const figures = evaluations.flatMap((one) =>
    one.figures
      .slice(0, mostFigures)
      .map(
        ({ evaluator, view, figure, value }) =>
          `siglip2_evaluation{${of(one)},evaluator=${quoted(evaluator)},view=${quoted(view)},figure=${quoted(figure)}} ${value}\n`,
      ),
  );
  return ['# TYPE siglip2_evaluation_step gauge\n', ...steps, '# TYPE siglip2_evaluation gauge\n', ...figures].join('');
}

/**
 * One gauge for all sources, languages, slots of a round and parts of the model, with a label that says which: data may name them as it
 * likes, and a name of a gauge has no room for that.
 */
function seriesOf(figure: string): { readonly name: string; readonly label?: string } {
  const [, kind, named, of] = /^(source|language)\/(.*)\/((?:candidates|chosen|drawn)(?:\/mean)?)$/s.exec(figure) ?? [];
  if (named !== undefined) return { name: `${kind}/${of}`, label: `,${kind}=${quoted(named)}` };
  const [, slot, ofSlot] = /^slot\/(\d+)\/(\w+)$/.exec(figure) ?? [];
  if (slot !== undefined) return { name: `slot/${ofSlot}`, label: `,slot=${quoted(slot)}` };
  const [, norm, part] = /^(norm\/\w+)\/(\w+)$/.exec(figure) ?? [];
  return part === undefined ? { name: figure } : { name: norm!, label: `,part=${quoted(part)}` };
}

/** As Prometheus has names: examplesPerSecond is examples_per_second. */
const snakeCase = (name: string) =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[^A-Za-z0-9_]/g, '_')
    .toLowerCase();

const nameOf = ({ run, phase, device }: Labels) => `${run}/${phase}${device === undefined ? '' : ` on ${device}`}`;
const namesOf = ({ run, phase, device }: Labels) =>
  `${device === undefined ? '' : `device=${quoted(device)},`}phase=${quoted(phase)},run=${quoted(run)}`;
const quoted = (text: string) => JSON.stringify(text);
