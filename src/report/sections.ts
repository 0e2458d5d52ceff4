import { counted } from '../runtime/count-text.ts';
import { escaped, escapedLines } from './escape.ts';
import { evaluationTables, gainTables } from './evaluation.ts';
import { type ChartLine, lineChart } from './line-chart.ts';
import { timeText } from './numbers.ts';
import { phaseGraph } from './phase-graph.ts';
import { withinRoom } from './room.ts';
import { factTable, table } from './table.ts';
import { markKey, marks, timeline } from './timeline.ts';
import type { PhaseReport, ReportedEvent, RunReport } from './types.ts';

/** Of each; what is more is counted. */
const most = { phases: 40, recipe: 60_000, events: 200, curves: 12 };
/** Bytes of each section, 2.8 MB in all, beside those of pictures. */
const room = { run: 500_000, time: 900_000, costs: 100_000, losses: 500_000, figures: 400_000, gains: 400_000 };

export interface Section {
  readonly id: string;
  readonly title: string;
  /** Empty: the page says that there is nothing. */
  readonly html: string;
  readonly absent: string;
}

/** The sections of a report in their order. */
export function sectionsOf(report: RunReport): Section[] {
  const phases = report.phases.slice(0, most.phases);
  return [
    { id: 'run', title: 'What was run', html: whatWasRun(report), absent: 'The bucket has no recipe of this run.' },
    {
      id: 'time',
      title: 'Phases in time',
      html: inTime(phases, report.events),
      absent: 'No step of this run is recorded.',
    },
    ...costs(report),
    {
      id: 'losses',
      title: 'Losses and learning rates',
      html: losses(phases),
      absent: 'No loss of this run is recorded.',
    },
    {
      id: 'figures',
      title: 'Evaluation',
      html: withinRoom(evaluationTables(report.evaluations), room.figures),
      absent: 'This run was not evaluated.',
    },
    {
      id: 'gains',
      title: 'What each phase has gained',
      html: withinRoom(gainTables(report.comparisons), room.gains),
      absent: 'No two phases that can be held against one another were evaluated alike.',
    },
  ];
}

/** Pages of runs that nobody counted for are without. */
function costs({ costs }: RunReport): Section[] {
  if (!costs) return [];
  const key =
    '<p class="absent">Repeated are steps that were lost, and made again. Preparing is loading and compiling.</p>';
  const rows = costs.rows.slice(-most.phases - 1);
  const html = withinRoom([table('Costs', costs.head, rows, { compact: true }), key], room.costs);
  return [{ id: 'costs', title: 'What it used and cost', html, absent: '' }];
}

function whatWasRun({ facts, recipe, phases, problems }: RunReport): string {
  const parts = facts.length > 0 ? [factTable('What was run', facts)] : [];
  const names = [...new Set(phases.flatMap(({ facts }) => facts.map(([name]) => name)))];
  const rows = phases
    .slice(0, most.phases)
    .map((phase) => [phase.name, ...names.map((name) => phase.facts.find(([own]) => own === name)?.[1] ?? '')]);
  parts.push(phaseGraph(phases.slice(0, most.phases)));
  if (rows.length > 0) parts.push('<h3>Phases</h3>', table('Phases', ['phase', ...names], rows, { compact: true }));
  if (phases.length > rows.length)
    parts.push(`<p>${counted(phases.length - rows.length, 'more phase is', 'more phases are')} not shown.</p>`);
  if (recipe !== null && recipe.length <= most.recipe)
    parts.push(`<details><summary>The recipe</summary>\n<pre tabindex="0">${escapedLines(recipe)}</pre></details>`);
  else if (recipe !== null)
    parts.push(`<p class="absent">The recipe has ${recipe.length} characters; run.json of the run has it.</p>`);
  return withinRoom([...parts, problemList(problems)], room.run);
}

/** Sentences on what could not be read; nothing where all could. */
export function problemList(problems: readonly string[]): string {
  if (problems.length === 0) return '';
  const lines = problems.slice(0, 20).map((one) => `<li>${escaped(one)}</li>`);
  return `<h3>What could not be read</h3>\n<ul>${lines.join('')}</ul>`;
}

function inTime(phases: readonly PhaseReport[], ofRun: readonly ReportedEvent[]): string {
  const drawn = timeline(phases);
  if (drawn === '') return '';
  const events = [
    ...ofRun.map((event) => ({ ...event, name: 'the run' })),
    ...phases.flatMap(({ name, events }) => events.map((event) => ({ ...event, name }))),
  ];
  const sorted = events.sort((a, b) => a.time - b.time).slice(-most.events);
  const rows = sorted.map(({ time, name, kind, text }) => [timeText(time), name, marks[kind][1], text]);
  const said =
    rows.length > 0
      ? table('Events', ['time (UTC)', 'phase', 'kind', 'what happened'], rows)
      : '<p class="absent">No gap, no retry and no way back is seen in the documents of the bucket.</p>';
  const left =
    events.length > rows.length
      ? `<p>${counted(events.length - rows.length, 'earlier event is', 'earlier events are')} not shown.</p>`
      : '';
  const key =
    '<p class="absent">Light ticks are checkpoints. A worker that is killed can not say why: its phase is trained on by the next attempt.</p>';
  return withinRoom([drawn, markKey(phases), key, said, left], room.time);
}

function losses(phases: readonly PhaseReport[]): string {
  const lines = (name: string): ChartLine[] =>
    phases.flatMap((phase, colour) => {
      const curve = phase.curves.find((one) => one.name === name);
      return curve ? [{ label: phase.name, points: curve.points, colour }] : [];
    });
  const charts = [
    lineChart('Loss of each phase', lines('loss')),
    lineChart('Learning rate', lines('learningRate'), { straight: true }),
  ];
  for (const { name, curves } of phases) {
    const own = curves.filter((curve) => curve.name.startsWith('loss/')).slice(0, most.curves);
    // One objective alone is the loss that is drawn already.
    if (own.length > 1)
      charts.push(
        lineChart(
          `${name}: its objectives, not weighted`,
          own.map((curve, colour) => ({ label: curve.name.slice(5), points: curve.points, colour })),
        ),
      );
  }
  const drawn = withinRoom(charts, room.losses);
  return drawn === ''
    ? ''
    : `<div class="charts">
${drawn}
</div>`;
}
