import { setTimeout as delay } from 'node:timers/promises';
import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import type { Command } from 'commander';
import type { Status } from '../../workflows/messages.ts';
import { formatPack, type PackReport } from '../packing/report.ts';
import { layouts, type PackSettings, parsePack } from '../packing/settings.ts';
import { RunnerError } from '../runtime/errors.ts';
import { canonicalJson } from '../runtime/hash.ts';
import { print, say } from './output.ts';
import { connect } from './temporal-client.ts';

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
      'write pictures and texts of other layouts below FROM as WebDataset shards below TO, each picture once',
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
      const settings = settingsOf(from, to, flags);
      const name = flags.name ?? `pack-${to.replaceAll('/', '-')}`;
      const client = await connect();
      if (!client)
        throw new RunnerError('SetupMissing', 'a pack is a workflow and needs Temporal: npm run up starts it here');
      try {
        await startPack(client, name, settings);
        if (flags.detach) {
          print(`${name} runs; the same line again follows it\n`);
          return;
        }
        const report = await follow(client, name);
        print(flags.json ? `${JSON.stringify(report)}\n` : formatPack(report));
      } finally {
        await client.connection.close();
      }
    });
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

/** A pack that is open under the name is joined, when it is the same one. */
async function startPack(client: Client, name: string, settings: PackSettings): Promise<void> {
  try {
    const memo = { pack: canonicalJson(settings) };
    await client.workflow.start('siglip2Pack', { taskQueue: 'siglip2', workflowId: name, args: [settings], memo });
    say(`${name} is started; Ctrl-C leaves it running, and the same line again follows it`);
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { memo, type } = await client.workflow.getHandle(name).describe();
    if (type !== 'siglip2Pack' || (memo?.pack !== undefined && memo.pack !== canonicalJson(settings)))
      throw new RunnerError(
        'RunNameTaken',
        `${name} is running already, and is another pack: name this one with --name`,
      );
    say(`${name} is running already; this follows it`);
  }
}

/** Says what it does whenever that changes, until it has ended. */
async function follow(client: Client, name: string): Promise<PackReport> {
  const handle = client.workflow.getHandle(name);
  let ended = false;
  const result = handle.result().finally(() => {
    ended = true;
  });
  result.catch(() => {});
  let said = '';
  while (!ended) {
    const status = await client.withDeadline(Date.now() + 2000, () => handle.query<Status>('status')).catch(() => null);
    const now = status?.doing ?? (status ? '' : 'no worker answers: npm run worker starts one');
    if (now !== said && now !== '' && !ended) say(now);
    said = now;
    await Promise.race([delay(1000), result.catch(() => {})]);
  }
  try {
    return (await result) as PackReport;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { message = error.message } = error.cause ?? {};
    throw new RunnerError('DataContract', message, { cause: error });
  }
}
