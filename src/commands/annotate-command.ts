import type { Command } from 'commander';
import { parseAnnotation } from '../annotation/settings.ts';
import { temporalEnvironment } from '../runtime/environment.ts';
import { RunnerError } from '../runtime/errors.ts';
import { followAnnotation, formatAnnotation, startAnnotation } from './annotate.ts';
import { print, say } from './output.ts';
import { settingsInput } from './settings-input.ts';
import { connect } from './temporal-client.ts';

interface Options {
  readonly detector?: string;
  readonly out?: string;
  readonly read?: string;
  readonly language?: string;
  readonly categories?: string;
  readonly settings?: string;
  readonly detach?: boolean;
  readonly json?: boolean;
}

/** `siglip2 data annotate`. */
export function addAnnotateCommand(data: Command): void {
  data
    .command('annotate [prefix...]')
    .description('have a detector find regions in the pictures of the shards below a prefix, for captioning')
    .option('--detector <place>', 'where OWL-ViT or OWLv2 lies as ONNX: a prefix, or a folder of the workers')
    .option('--out <prefix>', 'where the regions are written; the shards are left as they are')
    .option('--read <json>', 'how the shards are read, as data.read of a recipe')
    .option('--language <tag>', 'language of the captions that queries are made of, en by default')
    .option('--categories <key>', 'key of a file with a query for every picture on each line')
    .option('--settings <file>', 'a JSON file with these and all other settings')
    .option('--detach', 'start it and leave')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nIt goes on when this command ends, and when it is typed again it is followed again. What is there already is kept.',
    )
    .action(async (prefixes: string[], options: Options) => {
      const { settings: file, read, detector, out, language, categories } = options;
      const settings = parseAnnotation(
        await settingsInput(file, prefixes, { read, detector, out, language, categories }),
      );
      const client = await connect();
      if (!client)
        throw new RunnerError(
          'SetupMissing',
          `Temporal does not answer at ${temporalEnvironment().address}, and the annotation is one of its workflows: npm run up starts it`,
        );
      try {
        const workflowId = await startAnnotation(client, settings);
        say(`${workflowId} is at work; temporal workflow cancel --workflow-id ${workflowId} ends it`);
        if (options.detach) return;
        const result = await followAnnotation(client, workflowId, say);
        print(options.json ? `${JSON.stringify(result)}\n` : formatAnnotation(result));
      } finally {
        await client.connection.close();
      }
    });
}
