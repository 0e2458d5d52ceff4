import type { Sheet } from '../evaluate/sheet/sheet.ts';

/** What a report shows of a run: plain values, read and worked out by who asks for the page. */
export interface RunReport {
  readonly run: string;
  /** Name and value of what was run: recipe, data, model, code. */
  readonly facts: readonly Fact[];
  /** The recipe as JSON, for who wants to run it again; null where the bucket has none. */
  readonly recipe: string | null;
  /** What happened to the run itself. */
  readonly events: readonly ReportedEvent[];
  /** In the order of the recipe. */
  readonly phases: readonly PhaseReport[];
  readonly evaluations: readonly ReportedEvaluation[];
  readonly comparisons: readonly Comparison[];
  /** Of each phase and task, in the order of the phases. */
  readonly sheets: readonly ReportedSheet[];
  /** What its phases used and cost; absent where nothing tells. */
  readonly costs?: CostTable;
  /** Of phases that choose their examples. */
  readonly curated: readonly CuratedSheet[];
  /** What could not be read, in sentences. */
  readonly problems: readonly string[];
}

/** As it is shown. */
export interface CostTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Pictures that show what a checkpoint can do. */
export interface ReportedSheet {
  readonly phase: string;
  readonly step: number;
  /** Null for the evaluation that a recipe asks for. */
  readonly task: string | null;
  readonly sheet: Sheet;
}

/** What a phase found most and least worth learning from, up to its last checkpoint. */
export interface CuratedSheet {
  readonly phase: string;
  readonly step: number;
  /** Best first. */
  readonly most: readonly CuratedExample[];
  /** Worst first. */
  readonly least: readonly CuratedExample[];
}

export interface CuratedExample {
  readonly text: string;
  /** Its own, in nats. */
  readonly score: number;
  readonly chosen: boolean;
  readonly picture: Sheet['pictures'][string];
}

export type Fact = readonly [name: string, value: string];

export interface PhaseReport {
  readonly name: string;
  /** The phase of the run that it goes on from. */
  readonly parent: string | null;
  /** Where its weights come from, and whose scores it chooses by: phases of the run, and checkpoints of others. */
  readonly links: readonly PhaseLink[];
  /** Those that it began at and came to; null where no step is recorded. */
  readonly steps: readonly [from: number, to: number] | null;
  readonly facts: readonly Fact[];
  readonly ended: boolean;
  /** When it trained, in milliseconds since 1970, ascending; empty where no step is recorded. */
  readonly spans: readonly (readonly [from: number, to: number])[];
  readonly checkpoints: readonly { readonly step: number; readonly time: number }[];
  readonly events: readonly ReportedEvent[];
  readonly curves: readonly Curve[];
}

export interface PhaseLink {
  /** Name of a phase of the run, or RUN/PHASE of another. */
  readonly from: string;
  readonly kind: 'weights' | 'teacher';
}

export interface ReportedEvent {
  readonly time: number;
  readonly text: string;
  readonly kind: EventKind;
}

export const eventKinds = ['gap', 'retry', 'back', 'changed', 'paused', 'failed', 'note'] as const;
/** A time without steps; an attempt after the first; a way back; what a person changed; a stop; a failure; all else. */
export type EventKind = (typeof eventKinds)[number];

export interface Curve {
  /** As metrics have it, such as loss/sigmoid. */
  readonly name: string;
  readonly points: readonly Point[];
}

/** By step, ascending. */
export type Point = readonly [step: number, value: number];

/** The figures of one evaluator for one checkpoint. */
export interface ReportedEvaluation {
  readonly phase: string;
  readonly step: number;
  /** Name of the task, or null for the evaluation that a recipe asks for. */
  readonly task: string | null;
  readonly evaluator: string;
  readonly view: string | null;
  readonly examples: number;
  readonly figures: readonly ReportedFigure[];
  readonly notes: readonly string[];
}

export interface ReportedFigure {
  readonly name: string;
  readonly value: number;
  /** Of 95 %; null where the document has none. */
  readonly interval: Range | null;
}

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** A phase against another, by one evaluator. */
export interface Comparison {
  readonly phase: string;
  /** The phase that it came from; or where `beside`, one that began as it did and saw as many examples. */
  readonly parent: string;
  readonly beside?: true;
  /** Task, evaluator and view. */
  readonly what: string;
  readonly rows: readonly ComparedFigure[];
}

export interface ComparedFigure {
  readonly name: string;
  readonly before: number;
  readonly after: number;
  /** Of the difference, paired over the same pictures; null where it is not known. */
  readonly interval: Range | null;
}

/** Two runs, phases, checkpoints or results, side by side. */
export interface ComparisonReport {
  readonly a: ComparedSide;
  readonly b: ComparedSide;
  /** Fields of the recipes that are not the same. */
  readonly fields: readonly FieldDifference[];
  /** Whether both have a recipe. */
  readonly recipes: boolean;
  readonly pairs: readonly { readonly a: PhaseReport; readonly b: PhaseReport }[];
  /** `parent` is of the first, `phase` of the second. */
  readonly figures: readonly Comparison[];
  readonly problems: readonly string[];
}

export interface ComparedSide {
  /** As a person typed it. */
  readonly name: string;
  readonly run: string;
  readonly facts: readonly Fact[];
}

export interface FieldDifference {
  readonly at: string;
  readonly a: string;
  readonly b: string;
}
