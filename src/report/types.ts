/** What a report shows of a run: plain values, read and worked out by who asks for the page. */
export interface RunReport {
  readonly run: string;
  /** Name and value of what was run: recipe, data, model, code. */
  readonly facts: readonly Fact[];
  /** The recipe as JSON, for who wants to run it again; null where the bucket has none. */
  readonly recipe: string | null;
  /** In the order of the recipe. */
  readonly phases: readonly PhaseReport[];
  readonly evaluations: readonly ReportedEvaluation[];
  readonly comparisons: readonly Comparison[];
  /** What could not be read, in sentences. */
  readonly problems: readonly string[];
}

export type Fact = readonly [name: string, value: string];

export interface PhaseReport {
  readonly name: string;
  /** The phase of the run that it goes on from. */
  readonly parent: string | null;
  readonly facts: readonly Fact[];
  readonly ended: boolean;
  /** When it trained, in milliseconds since 1970, ascending; empty where no step is recorded. */
  readonly spans: readonly (readonly [from: number, to: number])[];
  readonly checkpoints: readonly { readonly step: number; readonly time: number }[];
  readonly events: readonly ReportedEvent[];
  readonly curves: readonly Curve[];
}

export interface ReportedEvent {
  readonly time: number;
  readonly text: string;
}

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
