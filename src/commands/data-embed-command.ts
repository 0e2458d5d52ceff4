import { type Command, Option } from 'commander';
import type { EmbeddingsReport } from '../../activities/types/embeddings.ts';
import { readEmbeddings } from '../embeddings/manifest.ts';
import { type PullForm, pullEmbeddings, pullForms } from '../embeddings/pull.ts';
import { type EmbeddingSettings, parseEmbedding } from '../embeddings/settings.ts';
import { counted } from '../runtime/count-text.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { madeBy } from './follow-workflow.ts';
import { formatEmbeddings, formatStored } from './format-embeddings.ts';
import { modelInBucket } from './model-in-bucket.ts';
import { nowAndThen } from './now-and-then.ts';
import { openStore } from './open-store.ts';
import { print, say } from './output.ts';
import { settingsInput } from './settings-input.ts';

interface EmbedFlags {
  readonly model?: string;
  readonly read?: string;
  readonly of?: string[];
  readonly language?: string[];
  readonly raw?: boolean;
  readonly patches?: boolean;
  readonly maxNumPatches?: string;
  readonly settings?: string;
  readonly pull?: string;
  readonly form: PullForm;
  readonly detach?: boolean;
  readonly json?: boolean;
}

/** Embeddings of one name are one after the other, whoever starts them. */
export const embeddingsWorkflow = (name: string): string => `embed-${name}`;

/** `siglip2 data embed`. */
export function addDataEmbedCommand(data: Command): void {
  data
    .command('embed <name> [prefix...]')
    .description('embed pictures and texts of the shards below a prefix; without a prefix, show embeddings')
    .option('--model <model>', 'a checkpoint, RUN/PHASE@STEP, or a model folder')
    .option('--read <json>', 'how the shards are read, as data.read of a recipe')
    .option('--of <what...>', 'images, texts, or both, as by default')
    .option('--language <languages...>', 'languages of the captions, each of which is a text')
    .option('--raw', 'rows as the model makes them, not of length 1')
    .option('--patches', 'keep the last hidden state of every patch, too')
    .option('--max-num-patches <count>', 'patches of a picture, for NaFlex models')
    .option('--settings <file>', 'a JSON file with these and all other settings')
    .option('--pull <folder>', 'write embeddings that are there into a folder')
    .addOption(
      new Option('--form <form>', 'of the files that are pulled').choices([...pullForms]).default('safetensors'),
    )
    .option('--detach', 'start it and leave')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nIt goes on when this command ends, and when it is typed again it is followed again. What is there already is kept.',
    )
    .action(async (name: string, prefixes: string[], flags: EmbedFlags) => {
      if (prefixes.length === 0 && flags.settings === undefined) {
        const found = await readEmbeddings(objectStoreFromEnvironment(), name);
        const { pull: folder, form, json } = flags;
        if (folder !== undefined) {
          const files = await pullEmbeddings(objectStoreFromEnvironment(), found, folder, {
            form,
            say: nowAndThen(say),
          });
          print(
            `${folder} holds embeddings ${name} in ${counted(files.length, 'file')}: ${files.slice(0, 6).join(', ')}\n`,
          );
          return;
        }
        print(json ? `${JSON.stringify(found)}\n` : formatStored(found));
        return;
      }
      const report = await made(await settingsOf(name, prefixes, flags), flags.detach === true);
      if (report) print(flags.json ? `${JSON.stringify(report)}\n` : formatEmbeddings(report));
    });
}

async function settingsOf(name: string, prefixes: readonly string[], flags: EmbedFlags): Promise<EmbeddingSettings> {
  const { settings, read, of, language, raw, patches, model, maxNumPatches } = flags;
  const parsed = parseEmbedding(
    await settingsInput(settings, prefixes, {
      ...{ name, read, of, model, patches, languages: language, rows: raw ? 'raw' : undefined },
      maxNumPatches: maxNumPatches === undefined ? undefined : Number(maxNumPatches),
    }),
  );
  return { ...parsed, model: await modelInBucket(await openStore(), parsed.model) };
}

/** What embeddings came to once they are made; null where nobody waits for it. */
function made(settings: EmbeddingSettings, detach: boolean): Promise<EmbeddingsReport | null> {
  const id = embeddingsWorkflow(settings.name);
  const other = `wait for its end, or temporal workflow cancel --workflow-id ${id}`;
  const known = { memo: 'embeddings', what: 'embedding', other };
  return madeBy('siglip2Embed', id, settings, { ...known, named: 'embedding', detach });
}
