/** What one phase of one seed gave. */
export interface Outcome {
  readonly seed: number;
  readonly phase: string;
  /** Held-out zero-shot top-1. */
  readonly top1: number;
  /** Mean shares of planted noise by kind, among the candidates and the chosen; empty for a phase without curation. */
  readonly noise: Readonly<Record<string, { readonly candidates: number; readonly chosen: number }>>;
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

/** The figures for people: a line for each phase, with what it does to each kind of noise. */
export function table(teachers: Readonly<Record<string, number>>, outcomes: readonly Outcome[]): string {
  const phases = [...new Set(outcomes.map(({ phase }) => phase))];
  const lines = phases.map((phase) => {
    const own = outcomes.filter((one) => one.phase === phase);
    const top1 = own.map((one) => percent(one.top1).padStart(8)).join('');
    return `  ${phase.padEnd(10)} ${top1}   mean ${percent(mean(own.map((one) => one.top1)))}${noiseLine(own)}`;
  });
  const told = Object.entries(teachers).map(([name, top1]) => `${name} ${percent(top1)}`);
  return [`Held-out zero-shot top-1, a column for each seed; ${told.join(', ')}`, ...lines].join('\n');
}

function noiseLine(own: readonly Outcome[]): string {
  const kinds = Object.keys(own[0]?.noise ?? {});
  if (kinds.length === 0) return '';
  const share = (of: 'candidates' | 'chosen', some: readonly string[]) =>
    mean(own.map(({ noise }) => some.reduce((sum, kind) => sum + (noise[kind]?.[of] ?? 0), 0)));
  const part = (some: readonly string[]) =>
    `${percent(share('candidates', some))} -> ${percent(share('chosen', some))}`;
  return `\n    noise in the data -> among the chosen: ${part(kinds)}; ${kinds.map((kind) => `${kind} ${part([kind])}`).join(', ')}`;
}

/** Worst of one phase less best of another: above 0 no seeds overlap. */
export function margin(outcomes: readonly Outcome[], better: string, worse: string): number {
  const of = (name: string) => outcomes.flatMap(({ phase, top1 }) => (phase === name ? [top1] : []));
  return Math.min(...of(better)) - Math.max(...of(worse));
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
