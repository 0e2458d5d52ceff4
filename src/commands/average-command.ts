import { join } from 'node:path';
import type { Command } from 'commander';
import { sharesOf } from '../averaging/average.ts';
import { type AverageDocument, averageFolder } from '../averaging/average-folder.ts';
import { flatFigures } from '../evaluate/result.ts';
import { RunnerError } from '../runtime/errors.ts';
import { makeFolder } from '../runtime/make-folder.ts';
import { requireNothingAt } from '../runtime/whole-folder.ts';
import { evaluateModel, readTask } from './evaluate-commands.ts';
import { withModels } from './model-source.ts';
import { print } from './output.ts';

interface AverageOptions {
  readonly weights?: readonly string[];
  readonly ratios?: string;
  readonly task?: string;
  readonly out: string;
}

/** Means of models: soups, and WiSE-FT. */
export function addAverageCommand(program: Command): void {
  program
    .command('average <models...>')
    .description('write the mean of models of one shape, each a folder, RUN, RUN/PHASE or RUN/PHASE@STEP, as a folder')
    .requiredOption('--out <folder>', 'the folder, which must not be there')
    .option('--weights <numbers...>', 'the share of each model; by default all have the same')
    .option('--ratios <list>', 'of two models: a folder for each share of the second, such as 0,0.25,0.5,0.75,1')
    .option('--task <file>', 'evaluate each by a task, and print the figures side by side')
    .addHelpText(
      'after',
      `
A model before fine-tuning and the same one after it: between them lies one that keeps what the first knew (WiSE-FT, arXiv
2109.01903). src/averaging/README.md says more.`,
    )
    .action(async (models: string[], { weights, ratios, task: file, out }: AverageOptions) => {
      const wanted = plannedShares(models.length, weights, ratios);
      const task = file === undefined ? undefined : await readTask(file);
      for (const { label } of wanted) await requireNothingAt(ratios === undefined ? out : join(out, label));
      await withModels(models, async (folders) => {
        const sources = models.map((name, i) => ({ name, path: folders[i]! }));
        const made: { readonly label: string; readonly folder: string }[] = [];
        if (ratios !== undefined) makeFolder(out, 'name');
        for (const { label, shares } of wanted) {
          const folder = ratios === undefined ? out : join(out, label);
          print(`${folder}: ${madeOf(await averageFolder(sources, shares, folder))}\n`);
          made.push({ label, folder });
        }
        if (task === undefined) return;
        const columns: { readonly label: string; readonly figures: ReadonlyMap<string, number> }[] = [];
        for (const { label, folder } of made) {
          const { figures } = await evaluateModel(folder, task);
          const named = figures.flatMap(({ evaluator, view, figures: own }) =>
            flatFigures(own).map(([name, value]) => [`${evaluator}.${name}, ${view}`, value] as const),
          );
          columns.push({ label, figures: new Map(named) });
        }
        print(curve(columns));
      });
    });
}

/** What is to be written, each under its name. */
function plannedShares(
  models: number,
  weights: readonly string[] | undefined,
  ratios: string | undefined,
): { readonly label: string; readonly shares: readonly number[] }[] {
  if (models < 2)
    throw new RunnerError('RecipeInvalid', 'a mean is of two models or more; type average A B --out FOLDER');
  if (ratios === undefined)
    return [{ label: 'mean', shares: sharesOf(weights?.map(Number) ?? Array(models).fill(1), models) }];
  if (models !== 2 || weights !== undefined)
    throw new RunnerError('RecipeInvalid', '--ratios is of two models, and goes without --weights');
  return [...new Set(ratios.split(','))].map((text) => {
    const ratio = Number(text);
    if (text.trim() === '' || !(ratio >= 0 && ratio <= 1))
      throw new RunnerError('RecipeInvalid', `--ratios has ${JSON.stringify(text)}; allowed: numbers of 0 to 1`);
    return { label: `ratio-${ratio}`, shares: [1 - ratio, ratio] };
  });
}

const madeOf = ({ of, sha256 }: AverageDocument) =>
  `${of.map(({ model, share }) => `${Number(share.toFixed(4))} of ${model}`).join(', ')}; sha256 ${sha256}`;

/** A line for each figure, a column for each folder. */
export function curve(
  columns: readonly { readonly label: string; readonly figures: ReadonlyMap<string, number> }[],
): string {
  const names = [...new Set(columns.flatMap(({ figures }) => [...figures.keys()]))];
  const cells = (values: readonly string[]) => values.map((value) => value.padStart(11)).join('');
  const rows = names.map((name) => {
    const values = columns.map(({ figures }) => figures.get(name));
    return `${cells(values.map((value) => (value === undefined ? '-' : String(Number(value.toFixed(4))))))}  ${name}\n`;
  });
  return `${cells(columns.map(({ label }) => label))}\n${rows.join('')}`;
}
