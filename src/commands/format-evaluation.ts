import type { PhaseResult } from '../../workflows/results.ts';
import type { EvaluationReport } from '../evaluate/report.ts';
import { counted } from '../runtime/count-text.ts';

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** What a phase has become, a line each: the figures of its evaluation, and where its export lies. */
export function formatResult({ phase, checkpoint, evaluation, export: exported, tasks = [] }: PhaseResult): string[] {
  const lines = [`  ${phase}@${checkpoint.step}${evaluation ? `: ${figuresOf(evaluation.report)}` : ''}`];
  const others = evaluation ? othersOf(evaluation.report) : '';
  if (others) lines.push(`    other languages, top-1: ${others}`);
  for (const task of tasks)
    lines.push(`    ${task.name}: ${'failure' in task ? `not evaluated, ${task.failure}` : task.key}`);
  return [...lines, `    export ${exported.uri}`];
}

/** Reports of other versions may lack some: what isn't there is left out. */
function figuresOf(report: Readonly<Record<string, unknown>>): string {
  const { zero_shot: zero, retrieval } = report as Partial<EvaluationReport>;
  const parts: string[] = [];
  if (zero?.top1 !== undefined) {
    const times = zero.times_chance === undefined ? '' : ` (${zero.times_chance.toFixed(0)} times chance)`;
    parts.push(`zero-shot top-1 ${percent(zero.top1)}${times}`);
    if (zero.top5 !== undefined) parts.push(`top-5 ${percent(zero.top5)}`);
    if (zero.classes !== undefined) parts.push(counted(zero.classes, 'class', 'classes'));
  }
  if (retrieval?.image_to_text) parts.push(`image to text R@1 ${percent(retrieval.image_to_text.r1)}`);
  if (retrieval?.text_to_image) parts.push(`text to image R@1 ${percent(retrieval.text_to_image.r1)}`);
  if (parts.length === 0) return 'evaluated';
  return `${parts.join(', ')}${zero?.language === undefined ? '' : `, texts in ${zero.language}`}`;
}

function othersOf(report: Readonly<Record<string, unknown>>): string {
  const { zero_shot: zero } = report as Partial<EvaluationReport>;
  return Object.entries(zero?.by_language ?? {})
    .flatMap(([language, { top1 }]) =>
      language === zero?.language || top1 === undefined ? [] : [`${language} ${percent(top1)}`],
    )
    .join(', ');
}
