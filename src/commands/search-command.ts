import type { Command } from 'commander';
import type { RowKind } from '../embeddings/rows.ts';
import { RunnerError } from '../runtime/errors.ts';
import { openStore } from './open-store.ts';
import { print, say } from './output.ts';

interface SearchOptions {
  readonly image?: string;
  readonly top: string;
  readonly among: string;
  readonly json?: boolean;
}

/** `siglip2 search`. */
export function addSearchCommand(program: Command): void {
  program
    .command('search <embeddings> [text]')
    .description('find what is nearest to a text or a picture among the embeddings of a data set')
    .option('--image <file>', 'a picture in the place of the text')
    .option('--top <count>', 'how many are told', '20')
    .option('--among <what>', 'images, or texts', 'images')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nEvery row is compared, in blocks: of a hundred million examples of width 768 that reads 300 GB. Equal ones are told by their keys.',
    )
    .action(async (name: string, text: string | undefined, { image, top, among, json }: SearchOptions) => {
      const count = Number(top);
      if (!Number.isInteger(count) || count < 1 || count > 10_000)
        throw new RunnerError('RecipeInvalid', `--top is ${top}; allowed: a whole number of 1 to 10000`);
      if (among !== 'images' && among !== 'texts')
        throw new RunnerError('RecipeInvalid', `--among is ${among}; allowed: images, texts`);
      if ((text === undefined) === (image === undefined))
        throw new RunnerError('RecipeInvalid', 'search takes one of a text and --image FILE');
      const query = text === undefined ? { image: image! } : { text };
      // It computes: TensorFlow is loaded here.
      const { searchEmbeddings } = await import('./search.ts');
      const store = await openStore({ reads: true });
      const found = await searchEmbeddings(store, name, query, { top: count, among: among satisfies RowKind, say });
      if (json) print(`${JSON.stringify(found)}\n`);
      else
        for (const { cosine, shard, name: own, language, caption } of found) {
          const which = language === undefined ? '' : `  ${language} ${caption}`;
          print(`${cosine.toFixed(4).padStart(8)}  ${shard}  ${own}${which}\n`);
        }
    });
}
