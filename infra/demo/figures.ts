import type { EvaluationReport, RecallFigures } from '../../src/evaluate/report.ts';
import type { PhaseResult, RecipeResult } from '../../workflows/results.ts';

/** What `--json FILE` writes and the table shows. */
export interface DemoFigures extends EvaluationReport {
  readonly run: string;
  readonly checkpoint: { readonly uri: string; readonly sha256: string; readonly step: number };
  readonly export: { readonly uri: string };
  readonly phases: readonly PhaseFigures[];
  readonly seconds: {
    /** Making the data set, of which little is left when it was in the bucket already. */
    readonly data: number;
    /** From the start of the workflow to its end: training, evaluation, export. */
    readonly train: number;
    /** Everything after set-up. */
    readonly total: number;
  };
}

export interface PhaseFigures {
  readonly phase: string;
  readonly step: number;
  readonly sha256: string;
  readonly top1: number;
  readonly times_chance: number;
  readonly image_to_text_r1: number;
  /** Of its last step, by objective. */
  readonly losses: Readonly<Record<string, number>>;
}

const reportOf = ({ evaluation }: PhaseResult) => evaluation!.report as unknown as EvaluationReport;

function phaseFigures(result: PhaseResult): PhaseFigures {
  const { zero_shot, retrieval } = reportOf(result);
  const { loss, objectives = {} } = result.metrics;
  const own = Object.entries(objectives).filter(([key]) => key.startsWith('loss/'));
  return {
    phase: result.phase,
    step: result.checkpoint.step,
    sha256: result.checkpoint.sha256,
    top1: zero_shot.top1,
    times_chance: zero_shot.times_chance,
    image_to_text_r1: retrieval.image_to_text.r1,
    losses: own.length > 0 ? Object.fromEntries(own.map(([key, value]) => [key.slice(5), value])) : { loss },
  };
}

export function figuresOf(result: RecipeResult, seconds: DemoFigures['seconds']): DemoFigures {
  const last = result.phases.at(-1)!;
  const { checkpoint, export: exported } = last;
  const { zero_shot, retrieval } = reportOf(last);
  const { uri, sha256, step } = checkpoint;
  return {
    run: result.run,
    zero_shot,
    retrieval,
    checkpoint: { uri, sha256, step },
    export: { uri: exported.uri },
    phases: result.phases.map(phaseFigures),
    seconds,
  };
}

const percent = (share = Number.NaN) => (Number.isNaN(share) ? '-' : `${(100 * share).toFixed(1)} %`).padStart(8);
const recalls = ({ r1, r5, r10 }: RecallFigures) => [r1, r5, r10].map(percent).join('');

/** The same figures for people. */
export function table({ zero_shot: zero, retrieval, checkpoint, seconds }: DemoFigures): string {
  const row = (name: string, value: string, note = '') => `  ${name.padEnd(26)} ${value}   ${note}`.trimEnd();
  return [
    `Pictures in a style that was never trained on (${retrieval.images}), ${zero.classes} classes, texts in ${zero.language}`,
    row('zero-shot top-1', percent(zero.top1), `${zero.times_chance.toFixed(0)} times chance`),
    row('zero-shot top-5', percent(zero.top5)),
    row('image to text R@1/5/10', recalls(retrieval.image_to_text)),
    row('text to image R@1/5/10', recalls(retrieval.text_to_image)),
    ...Object.entries(zero.by_language)
      .filter(([language]) => language !== zero.language)
      .map(([language, { top1, top5, classes }]) =>
        row(`${language} top-1/top-5`, percent(top1) + percent(top5), `${classes} classes`),
      ),
    '',
    `${checkpoint.step} steps; ${seconds.data.toFixed(0)} s for the data set, ${seconds.train.toFixed(0)} s for the run, ${seconds.total.toFixed(0)} s in all`,
  ].join('\n');
}

/** A line for each phase, where there are several. */
export function phaseTable({ phases }: DemoFigures): string {
  if (phases.length < 2) return '';
  const lines = phases.map(({ phase, step, top1, times_chance, image_to_text_r1, losses }) => {
    const own = Object.entries(losses).map(([name, loss]) => `${name} ${loss.toFixed(3)}`);
    return `  ${phase.padEnd(12)} ${String(step).padStart(6)} ${percent(top1)} ${`${times_chance.toFixed(0)} x`.padStart(7)} ${percent(image_to_text_r1)}   ${own.join(', ')}`;
  });
  return ['', '  phase          step    top-1  chance  I>T R@1   losses', ...lines, ''].join('\n');
}
