import { condition } from '@temporalio/workflow';
import type { HistoryInput } from '../activities/types/phase-end.ts';
import type { PhasePlan } from '../activities/types/plan.ts';
import type { ShardResult } from '../activities/types/shard.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { addUsed, limitedCostOf, type Used } from '../src/costs/used.ts';
import { addEvent, type PhaseEvent, type PhaseReport, type PhaseState } from './messages.ts';
import { cut } from './report-size.ts';
import { notOpen, type Standing, type Wish, type WishKind, wishProblem } from './wishes.ts';

/** What a graph is made of again in the run's next history. Names come in pairs, since a phase may have any. */
export interface GraphState {
  readonly reports: readonly PhaseReport[];
  readonly events: readonly (readonly [string, readonly PhaseEvent[]])[];
  readonly checkpoints: readonly (readonly [string, CheckpointRef])[];
  readonly ended: readonly string[];
  readonly last: readonly (readonly [string, CheckpointRef])[];
  /** What evaluations of phases that ended used; absent in histories of older versions. */
  readonly evaluated?: readonly (readonly [string, Used])[];
}

/** What happened to the run itself stands in its history under a name that no phase can have. */
const ofRun = '(run)';
/** Lines of all phases that a new history begins with, and the length of each. */
const mostCarried = 2000;
const mostCharacters = 300;

/** The newest lines, as many as each of so many phases can have. */
export const newestLines = (events: readonly PhaseEvent[], phases: number): PhaseEvent[] =>
  events
    .slice(-Math.max(5, Math.floor(mostCarried / phases)))
    .map((event) => ({ ...event, what: cut(event.what, mostCharacters) }));

/** The phases of a run as they stand: what has been reported, and the checkpoints at which others branch off. */
export class PhaseGraph {
  readonly #reports = new Map<string, PhaseReport>();
  readonly #events = new Map<string, PhaseEvent[]>();
  /** By phase and step. */
  readonly #checkpoints = new Map<string, CheckpointRef>();
  /** Phases that have ended without what others wait for. */
  readonly #ended = new Set<string>();
  /** The last checkpoint of each phase that has ended with one. */
  readonly #last = new Map<string, CheckpointRef>();
  readonly #evaluated = new Map<string, Used>();

  readonly plans: readonly PhasePlan[];

  constructor(plans: readonly PhasePlan[] = [], before?: GraphState) {
    this.plans = plans;
    if (!before) return;
    for (const report of before.reports) this.#reports.set(report.phase, report);
    for (const [name, events] of before.events) this.#events.set(name, [...events]);
    for (const [name, checkpoint] of before.checkpoints) this.#checkpoints.set(name, checkpoint);
    for (const name of before.ended) this.#ended.add(name);
    for (const [name, checkpoint] of before.last) this.#last.set(name, checkpoint);
    for (const [name, used] of before.evaluated ?? []) this.#evaluated.set(name, used);
  }

  /** For the history that comes after this one. Of the checkpoints only those that a phase may still begin at. */
  carried(): GraphState {
    const wanted = new Set(this.plans.flatMap((plan) => beginning(plan) ?? []));
    return {
      reports: this.reports.map(({ notes: _, ...report }) => report),
      events: [...this.#events].map(([name, events]) => [name, newestLines(events, this.plans.length)]),
      checkpoints: [...this.#checkpoints].filter(([name]) => wanted.has(name)),
      ended: [...this.#ended],
      last: [...this.#last],
      ...(this.#evaluated.size > 0 && { evaluated: [...this.#evaluated] }),
    };
  }

  /** In the order of the recipe; phases that have not begun have none. */
  get reports(): PhaseReport[] {
    return this.plans.flatMap(({ phase }) => this.#reports.get(phase) ?? []);
  }

  /** What a phase tells of itself. Each of its shards ends with a report, so no branch point goes by unseen. */
  record(report: PhaseReport): void {
    this.#reports.set(report.phase, report);
    const step = report.last?.checkpoint.step ?? report.from;
    for (const note of report.notes ?? [])
      if (note.what !== report.failure) addEvent(this.#eventsOf(report.phase), note.step, note.what, note.at);
    const what = report.failure && report.state !== 'training' ? `${report.state}: ${report.failure}` : report.state;
    addEvent(this.#eventsOf(report.phase), step, what);
    if (report.last) this.#checkpoints.set(`${report.phase}@${report.last.checkpoint.step}`, report.last.checkpoint);
  }

  stateOf({ phase }: PhasePlan): PhaseState {
    return this.#reports.get(phase)?.state ?? 'planning';
  }

  /** The end of a phase was evaluated. */
  evaluated(phase: string, used: Used | undefined): void {
    const before = this.#evaluated.get(phase);
    if (used) this.#evaluated.set(phase, before ? addUsed(before, used) : used);
  }

  /** What a phase has used, its evaluations too; undefined where nothing tells. */
  usedOf(phase: string): Used | undefined {
    const all = [this.#reports.get(phase)?.spent?.used, this.#evaluated.get(phase)].flatMap((used) => used ?? []);
    return all.length > 0 ? all.reduce(addUsed) : undefined;
  }

  /** As of its last report: what it knows more the phase itself looks at. */
  #standing(plan: PhasePlan): Standing {
    const report = this.#reports.get(plan.phase);
    const { phase, branches, fixedBatches, replicas } = plan;
    const step = report?.last?.checkpoint.step ?? plan.from.step;
    const span = { from: plan.from.step, total: report?.total ?? plan.to.step, step };
    const used = report?.spent?.used;
    const spent = report?.spent && {
      deviceMs: report.spent.deviceMs,
      wallMs: Date.now() - report.spent.began,
      ...(used && { cost: limitedCostOf(used) }),
    };
    const batch = report?.batch ?? plan.batch;
    return { phase, state: this.stateOf(plan), batch, branches, fixedBatches, replicas, ...span, ...spent };
  }

  /** What the phases told of themselves, by phase. */
  get history(): Readonly<Record<string, readonly PhaseEvent[]>> {
    return Object.fromEntries(this.#events);
  }

  hasBegun({ phase }: PhasePlan): boolean {
    return this.#reports.has(phase);
  }

  /** What is known of a phase, or with null of the run itself, for who keeps it. */
  told(phase: string | null): Pick<HistoryInput, 'events' | 'spent'> {
    const { spent, last, from = 0 } = (phase === null ? undefined : this.#reports.get(phase)) ?? {};
    const events = this.#events.get(phase ?? ofRun) ?? [];
    const used = phase === null ? undefined : this.usedOf(phase);
    return {
      events: newestLines(events, 1),
      ...(spent && { spent: { ...spent, ...(used && { used }), ...(last && { steps: last.checkpoint.step - from }) } }),
    };
  }

  /** The phase that a wish is for: the one that is named, or the only one that is open. */
  open(wish: WishKind, named?: string): { readonly plan?: PhasePlan; readonly problem?: string } {
    const over = ['planning', 'done', 'failed', 'stopped'];
    const open = this.plans.filter((plan) => !over.includes(this.stateOf(plan)) && !this.#ended.has(plan.phase));
    const names = open.map(({ phase }) => phase).join(', ');
    if (open.length === 0) return { problem: `${wish} is refused: no phase of this run is open` };
    if (named === undefined && open.length > 1)
      return { problem: `${wish} is refused: several phases are open; name one, {"phase": ...}: ${names}` };
    const plan = named === undefined ? open[0] : open.find(({ phase }) => phase === named);
    return plan ? { plan } : { problem: notOpen(wish, named, names) };
  }

  /** Why a wish is refused, as far as the run knows; null when it isn't. */
  problem(wish: Wish, named?: string): string | null {
    const { plan, problem } = this.open(wish.kind, named);
    if (!plan) return problem ?? null;
    const wrong = wishProblem(wish, this.#standing(plan));
    if (wrong !== null || wish.kind !== 'extend') return wrong;
    const after = this.#successors(plan);
    if (after.length === 0) return null;
    const names = after.join(', ').replace(/, ([^,]*)$/, ' and $1');
    return `extend is refused: ${names} ${after.length > 1 ? 'begin' : 'begins'} where phase ${plan.phase} was planned to end`;
  }

  /** Phases that go on from the end of one. */
  #successors({ phase, to }: PhasePlan): string[] {
    return this.plans.flatMap((plan) =>
      plan.origin && 'phase' in plan.origin && plan.origin.phase === phase && plan.from.step >= to.step
        ? [plan.phase]
        : [],
    );
  }

  /** One line in the history of a phase. */
  note({ phase, from }: PhasePlan, what: string): void {
    addEvent(this.#eventsOf(phase), from.step, what);
  }

  /** One line in the history of the run itself. */
  noteRun(what: string): void {
    addEvent(this.#eventsOf(ofRun), 0, what);
  }

  #eventsOf(phase: string): PhaseEvent[] {
    const events = this.#events.get(phase) ?? [];
    this.#events.set(phase, events);
    return events;
  }

  ended(phase: string, last: ShardResult | null): void {
    if (last) this.#checkpoints.set(`${phase}@${last.checkpoint.step}`, last.checkpoint);
    if (last) this.#last.set(phase, last.checkpoint);
    this.#ended.add(phase);
  }

  /** The model that scores for a phase of curation, once it is trained; null when the phase before ended without it. */
  async teacherOf({ curation }: PhasePlan): Promise<{ readonly teacher?: CheckpointRef } | null> {
    if (!curation) return {};
    const { teacher } = curation;
    if ('checkpoint' in teacher) return { teacher: teacher.checkpoint };
    await condition(() => this.#ended.has(teacher.phase));
    const last = this.#last.get(teacher.phase);
    return last ? { teacher: last } : null;
  }

  /** The checkpoint that a phase goes on from, once it is there; null when the phase before ended without it. */
  async originOf({ origin, from }: PhasePlan): Promise<{ readonly parent: CheckpointRef | null } | null> {
    // Plans in the histories of older versions have none.
    if (!origin) return { parent: null };
    if ('checkpoint' in origin) return { parent: origin.checkpoint };
    const wanted = beginning({ origin, from })!;
    await condition(() => this.#checkpoints.has(wanted) || this.#ended.has(origin.phase));
    const parent = this.#checkpoints.get(wanted);
    return parent ? { parent } : null;
  }
}

/** The checkpoint of the run at which a phase begins; null where it is of another run, or there is none. */
function beginning({ origin, from }: Pick<PhasePlan, 'origin' | 'from'>): string | null {
  return origin && 'phase' in origin ? `${origin.phase}@${from.step}` : null;
}
