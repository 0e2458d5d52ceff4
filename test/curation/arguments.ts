import { Command } from 'commander';

export interface CurationOptions {
  readonly seeds: number;
  readonly noise: number;
  readonly recipe: string;
  readonly filter?: string;
  readonly json?: string;
}

/** The command line of `npm run curation`. */
export const curationProgram = () =>
  new Command('npm run curation --')
    .description('Trains a small student with and without active curation on noisy emoji, and compares them.')
    .option('--seeds <number>', 'number of seeds', (text) => Number(text), 3)
    .option('--noise <share>', 'share of planted noise in the data', (text) => Number(text), 0.4)
    .option(
      '--recipe <file>',
      'recipe with the phases teacher, curated and those of the students',
      'infra/recipes/emoji-acid.json',
    )
    .option('--filter <json>', 'steps of a filter of the noisy data before the students, such as {"duplicates": {}}')
    .option('--json <file>', 'also write the figures to a file');
