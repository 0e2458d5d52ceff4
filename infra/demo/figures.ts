import type { EvaluationReport, RecallFigures } from '../../src/evaluate/report.ts';
import type { RecipeResult } from '../../workflows/recipe.ts';

/** What `--json FILE` writes and the table shows. */
export interface DemoFigures extends EvaluationReport {
  readonly run: string;
  readonly checkpoint: { readonly uri: string; readonly sha256: string; readonly step: number };
  readonly export: { readonly uri: string };
  readonly seconds: {
    /** Making the data set, of which little is left when it was in the bucket already. */
    readonly data: number;
    /** From the start of the workflow to its end: training, evaluation, export. */
    readonly train: number;
    /** Everything after set-up. */
    readonly total: number;
  };
}

export function figuresOf(result: RecipeResult, seconds: DemoFigures['seconds']): DemoFigures {
  const { checkpoint, evaluation, export: exported } = result.phases.at(-1)!;
  const { zero_shot, retrieval } = evaluation!.report as unknown as EvaluationReport;
  const { uri, sha256, step } = checkpoint;
  return {
    run: result.run,
    zero_shot,
    retrieval,
    checkpoint: { uri, sha256, step },
    export: { uri: exported.uri },
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
