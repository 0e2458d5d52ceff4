import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { formatPack, type PackReport } from '../packing/report.ts';
import { layouts, type PackSettings, parsePack } from '../packing/settings.ts';
import { placePattern } from '../recipe/places.ts';
import { RunnerError } from '../runtime/errors.ts';
import { madeBy } from './follow-workflow.ts';
import { print } from './output.ts';

interface PackFlags {
  readonly name?: string;
  readonly layout?: string;
  readonly texts?: string;
  readonly pictures?: string;
  readonly image?: string;
  readonly caption?: readonly string[];
  readonly language?: string;
  readonly split?: readonly string[];
  readonly side?: string;
  readonly format?: string;
  readonly quality?: string;
  readonly shardMegabytes?: string;
  readonly duplicates?: string;
  readonly detach?: boolean;
  readonly json?: boolean;
}

/** `siglip2 data pack`: starts the workflow, or joins one of that name, and follows it to its report. */
export function addPackCommand(data: Command): void {
  data
    .command('pack <from> <to>')
    .description(
      'write pictures and texts of other layouts below FROM as WebDataset shards below TO, each picture once; both are prefixes of the bucket',
    )
    .option('--layout <layout>', `one of ${layouts.join(', ')}; by default guessed`)
    .option('--texts <where>', 'of a folder: txt beside each picture, class by folder, or name of the file')
    .option('--pictures <prefix>', 'where the file names of a table begin; by default beside the table')
    .option('--image <column>', 'the column with the picture or its file name')
    .option('--caption <columns...>', 'columns with texts, with their language where it is another: caption alt:de')
    .option('--language <language>', 'of texts that say none', 'en')
    .option('--split <names...>', 'only rows of these splits')
    .option('--side <pixels>', 'shorter side, 256 unless the format is original')
    .option('--format <format>', 'webp, jpg, png, or original for the bytes as they are', 'webp')
    .option('--quality <quality>', 'of webp and jpg, 80')
    .option('--shard-megabytes <megabytes>', 'no shard is larger', '256')
    .option(
      '--duplicates <which>',
      'near: each picture once, its copies too; exact: equal pixels; keep: all stay',
      'near',
    )
    .option('--name <name>', 'of the workflow; by default pack- and TO')
    .option('--detach', 'start it and do not wait for it')
    .option('--json', 'print the report as JSON')
    .action(async (from: string, to: string, flags: PackFlags) => {
      await requireInBucket(from, to);
      const settings = settingsOf(from, to, flags);
      const name = flags.name ?? `pack-${to.replaceAll('/', '-')}`;
      const other = 'name this one with --name';
      const known = { memo: 'pack', what: 'pack', other, named: 'a pack', detach: flags.detach === true };
      const report = await madeBy<PackReport>('siglip2Pack', name, settings, known);
      if (report) print(flags.json ? `${JSON.stringify(report)}\n` : formatPack(report));
    });
}

/** RecipeInvalid for a folder of this machine, which workers elsewhere do not see. */
export async function requireInBucket(from: string, to: string): Promise<void> {
  if (placePattern.test(from) || !(await stat(from).catch(() => null))) return;
  const place = `raw/${basename(resolve(from)).replaceAll(/[^A-Za-z0-9_-]+/g, '-')}`;
  throw new RunnerError(
    'RecipeInvalid',
    `${from} lies on this machine, and data pack reads from the bucket; type aws s3 cp --recursive ${from} "s3://$SIGLIP2_BUCKET/${place}", and then npm run siglip2 -- data pack ${place} ${to}`,
  );
}

function settingsOf(from: string, to: string, flags: PackFlags): PackSettings {
  const number = (value: string | undefined) => (value === undefined ? undefined : Number(value));
  const { layout, texts, pictures, image, caption, language, split: splits, format, duplicates } = flags;
  const columns = caption?.map((said) => /^(.*?)(?::([^:]+))?$/s.exec(said)!);
  const captions = columns && Object.fromEntries(columns.map(([, column, own]) => [column, own ?? language]));
  const side = number(flags.side);
  const quality = number(flags.quality);
  const shardBytes = Math.round(number(flags.shardMegabytes)! * 1e6);
  const given = {
    from,
    to,
    layout,
    texts,
    pictures,
    image,
    captions,
    language,
    splits,
    format,
    duplicates,
    side,
    quality,
    shardBytes,
  };
  return parsePack(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
}
