import { escaped, escapedLines } from './escape.ts';
import { evaluationTables, gainTables } from './evaluation.ts';
import { type ChartLine, lineChart } from './line-chart.ts';
import { timeText } from './numbers.ts';
import { withinRoom } from './room.ts';
import { factTable, table } from './table.ts';
import { timeline } from './timeline.ts';
import type { PhaseReport, RunReport } from './types.ts';

/** Of each; what is more is counted. */
const most = { phases: 40, recipe: 200_000, events: 300, curves: 12 };
/** Bytes of each section, 4.8 MB in all. */
const room = { run: 1_100_000, time: 1_900_000, losses: 800_000, figures: 500_000, gains: 500_000 };

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
    { id: 'time', title: 'Phases in time', html: inTime(phases), absent: 'No step of this run is recorded.' },
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

function whatWasRun({ facts, recipe, phases, problems }: RunReport): string {
  const parts = facts.length > 0 ? [factTable('What was run', facts)] : [];
  const names = [...new Set(phases.flatMap(({ facts }) => facts.map(([name]) => name)))];
  const rows = phases
    .slice(0, most.phases)
    .map((phase) => [phase.name, ...names.map((name) => phase.facts.find(([own]) => own === name)?.[1] ?? '')]);
  if (rows.length > 0) parts.push('<h3>Phases</h3>', table('Phases', ['phase', ...names], rows, { compact: true }));
  if (phases.length > rows.length) parts.push(`<p>${phases.length - rows.length} more phases are not shown.</p>`);
  if (recipe !== null && recipe.length <= most.recipe)
    parts.push(`<details><summary>The recipe</summary>\n<pre tabindex="0">${escapedLines(recipe)}</pre></details>`);
  else if (recipe !== null)
    parts.push(`<p class="absent">The recipe has ${recipe.length} characters; run.json of the run has it.</p>`);
  if (problems.length > 0)
    parts.push(
      `<h3>What could not be read</h3>\n<ul>${problems
        .slice(0, 20)
        .map((one) => `<li>${escaped(one)}</li>`)
        .join('')}</ul>`,
    );
  return withinRoom(parts, room.run);
}

function inTime(phases: readonly PhaseReport[]): string {
  const drawn = timeline(phases);
  if (drawn === '') return '';
  const events = phases.flatMap(({ name, events }) => events.map((event) => ({ ...event, name })));
  const sorted = events.sort((a, b) => a.time - b.time).slice(0, most.events);
  const rows = sorted.map(({ time, name, text }) => [timeText(time), name, text]);
  const said =
    rows.length > 0
      ? table('Events', ['time (UTC)', 'phase', 'what happened'], rows)
      : '<p class="absent">No gap, no retry and no way back is seen in the documents of the bucket.</p>';
  const left = events.length > rows.length ? `<p>${events.length - rows.length} more events are not shown.</p>` : '';
  const key =
    '<p class="absent">Light ticks are checkpoints, circles are events. The bucket records steps and checkpoints, not why a worker died.</p>';
  return withinRoom([drawn, key, said, left], room.time);
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
