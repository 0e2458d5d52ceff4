import { counted } from '../runtime/count-text.ts';
import { escaped } from './escape.ts';
import { gainTables } from './evaluation.ts';
import { type ChartLine, lineChart } from './line-chart.ts';
import { withinRoom } from './room.ts';
import { problemList, type Section } from './sections.ts';
import { table } from './table.ts';
import type { ComparedSide, ComparisonReport, Fact, PhaseReport } from './types.ts';

/** Of each; what is more is counted. */
const most = { fields: 500, pairs: 20, curves: 12 };
/** Bytes of each section. */
const room = { recipes: 1_000_000, what: 500_000, losses: 1_500_000, figures: 1_500_000 };

/** The sections of a comparison in their order. */
export function comparedSections(report: ComparisonReport): Section[] {
  const { a, b, fields, recipes, figures } = report;
  return [
    {
      id: 'recipes',
      title: 'Recipes',
      html: recipes && fields.length > 0 ? withinRoom(recipeTable(report), room.recipes) : '',
      absent: recipes
        ? 'Both have the same recipe.'
        : 'Not both have a recipe: one was imported, or its run.json is gone.',
    },
    {
      id: 'run',
      title: 'What was run',
      html: withinRoom(whatWasRun(report), room.what),
      absent: 'Nothing is known of either.',
    },
    {
      id: 'losses',
      title: 'Losses and learning rates',
      html: losses(report),
      absent: 'No loss of either is recorded.',
    },
    {
      id: 'figures',
      title: 'Figures',
      html: withinRoom(gainTables(figures, `Differences are those of ${b.name} to ${a.name}.`), room.figures),
      absent: 'They were not evaluated alike.',
    },
  ];
}

function recipeTable({ a, b, fields }: ComparisonReport): string[] {
  const rows = fields.slice(0, most.fields).map(({ at, a, b }) => [at, a, b]);
  const left = fields.length - rows.length;
  return [
    '<p class="absent">Fields that are not the same; all others are.</p>',
    table('Recipes', ['field', a.name, b.name], rows, { wrap: true }),
    left > 0 ? `<p>${counted(left, 'more field differs', 'more fields differ')}.</p>` : '',
  ];
}

function whatWasRun(report: ComparisonReport): string[] {
  const { a, b, pairs, problems } = report;
  const side = (
    label: string,
    [one, other]: readonly [string, string],
    [x, y]: readonly [readonly Fact[], readonly Fact[]],
  ) => {
    const names = [...new Set([...x, ...y].map(([name]) => name))];
    const of = (facts: readonly Fact[], name: string) => facts.find(([own]) => own === name)?.[1] ?? '';
    return table(
      label,
      ['', one, other],
      names.map((name) => [name, of(x, name), of(y, name)]),
    );
  };
  return [
    a.run === b.run ? '' : side('What was run', [a.name, b.name], [a.facts, b.facts]),
    ...pairs
      .slice(0, most.pairs)
      .flatMap((pair) => [
        `<h3>${escaped(pairName(pair))}</h3>`,
        side(pairName(pair), namesIn(report, pair), [pair.a.facts, pair.b.facts]),
      ]),
    problemList(problems),
  ];
}

type Pair = ComparisonReport['pairs'][number];
const pairName = ({ a, b }: Pair) => (a.name === b.name ? a.name : `${a.name} and ${b.name}`);

/** What the sides of a pair are called: RUN/PHASE, or as they were typed where both are one phase, at two checkpoints of it. */
function namesIn({ a, b }: ComparisonReport, pair: Pair): readonly [string, string] {
  const [one, other] = [`${a.run}/${pair.a.name}`, `${b.run}/${pair.b.name}`];
  const typed = ({ run, name }: ComparedSide) => (name === run ? one : name);
  return one === other ? [typed(a), typed(b)] : [one, other];
}

/** A chart for each curve that both phases of a pair have; the first is blue, the second orange. */
function losses(report: ComparisonReport): string {
  const charts = report.pairs.slice(0, most.pairs).flatMap((pair) => {
    const [one, other] = namesIn(report, pair);
    const names = [
      'loss',
      'learningRate',
      ...pair.a.curves.map(({ name }) => name).filter((name) => /^loss\//.test(name)),
    ];
    return names.slice(0, most.curves).map((name) => {
      const line = (label: string, phase: PhaseReport, colour: number): ChartLine[] => {
        const curve = phase.curves.find((own) => own.name === name);
        return curve ? [{ label, points: curve.points, colour }] : [];
      };
      const lines = [...line(one, pair.a, 0), ...line(other, pair.b, 1)];
      const title = name === 'learningRate' ? 'learning rate' : name;
      return lines.length < 2 && name.startsWith('loss/')
        ? ''
        : lineChart(`${pairName(pair)}: ${title}`, lines, { straight: name === 'learningRate' });
    });
  });
  const drawn = withinRoom(charts, room.losses);
  return drawn === '' ? '' : `<div class="charts">\n${drawn}\n</div>`;
}
