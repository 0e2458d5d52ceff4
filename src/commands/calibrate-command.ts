import type { Command } from 'commander';
import { RunnerError } from '../runtime/errors.ts';
import { openStore } from './open-store.ts';
import { print, say } from './output.ts';

interface CalibrateOptions {
  readonly precision: string[];
  readonly share?: string;
  readonly write?: string;
  readonly json?: boolean;
}

/** `siglip2 calibrate`. */
export function addCalibrateCommand(program: Command): void {
  program
    .command('calibrate <embeddings>')
    .description('refit scale and bias of a model on held-out pairs, and find the cosine of a precision')
    .option('--precision <share...>', 'shares of pairs that are to be right', ['0.95'])
    .option('--share <share>', 'share of the pairs that are right where the model is used; by default as among these')
    .option('--write <folder>', 'write it into a pulled or exported model folder: weights, calibration.json and card')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe pairs are all pictures with all texts of embeddings that data embed made of held-out data. No checkpoint is changed.',
    )
    .action(async (name: string, { precision, share, write, json }: CalibrateOptions) => {
      const precisions = precision.map((text) => shareOf('--precision', text));
      const wanted = { precisions, share: share === undefined ? null : shareOf('--share', share) };
      // It computes: TensorFlow is loaded here.
      const { calibrate } = await import('../embeddings/calibrate.ts');
      const { calibratedPlaces, calibrationSection, writeCalibration } = await import(
        '../embeddings/calibrated-folder.ts'
      );
      const { readEmbeddings } = await import('../embeddings/manifest.ts');
      const { tellingPause } = await import('../evaluate/numbers/pause.ts');
      // A minute of comparing is not thrown away for a folder that takes no calibration.
      if (write !== undefined) await calibratedPlaces(write);
      const store = await openStore({ reads: true });
      const embeddings = await readEmbeddings(store, name);
      const texts = Object.values(embeddings.texts).reduce((sum, count) => sum + count, 0);
      const pairs = embeddings.examples * texts;
      let done = 0;
      const tell = () => say(`compared ${Math.floor(done / 1e6)} of ${Math.ceil(pairs / 1e6)} million pairs`);
      say(`comparing all ${pairs} pairs of ${embeddings.examples} pictures and ${texts} texts`);
      const found = await calibrate(store, embeddings, {
        ...wanted,
        pause: tellingPause(tell, new AbortController().signal),
        onCompared: (count) => {
          done += count;
        },
      });
      if (write !== undefined) await writeCalibration(write, found);
      print(json ? `${JSON.stringify(found)}\n` : calibrationSection(found));
      for (const one of found.without) say(`no cosine has a precision of ${one}`);
      if (write !== undefined) say(`${write} has it in model.safetensors, calibration.json and README.md`);
    });
}

function shareOf(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value < 1) return value;
  throw new RunnerError('RecipeInvalid', `${option} is ${text}; allowed: a number between 0 and 1, such as 0.95`);
}
