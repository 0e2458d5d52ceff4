import { readFile, rm, stat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { bucketFiles, linesIn, localFiles } from '../benchmarks/files.ts';
import { type Kind, kinds } from '../benchmarks/open.ts';
import { packBenchmark } from '../benchmarks/pack.ts';
import type { BenchmarkReport, PackedSettings } from '../benchmarks/pack-progress.ts';
import { allowedPlace, isWithin, placePattern } from '../recipe/places.ts';
import { counted, number } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { sha256 } from '../runtime/hash.ts';
import { paths } from '../runtime/paths.ts';
import { printableUpTo } from '../runtime/printable.ts';
import { ownScratch } from '../runtime/scratch.ts';
import { size } from '../runtime/size-text.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { nowAndThen } from './now-and-then.ts';
import { openStore } from './open-store.ts';
import { print, say } from './output.ts';

interface BenchmarkFlags {
  readonly as: Kind;
  readonly to: string;
  readonly split?: string;
  readonly table?: string;
  readonly pictures?: string;
  readonly classes?: string;
  readonly templates?: string;
  readonly json?: boolean;
}

const shardBytes = 256_000_000;
const shardExamples = 10_000;

/** `siglip2 data benchmark`: a data set that people compare by, as it lies in a folder or below a prefix, into shards. */
export function addBenchmarkCommand(data: Command): void {
  data
    .command('benchmark <from>')
    .description(
      'write one of the usual data sets, a folder here or a prefix of the bucket, as shards for siglip2 evaluate',
    )
    .addOption(new Option('--as <kind>', 'which it is').choices(kinds).makeOptionMandatory())
    .requiredOption('--to <prefix>', 'key prefix of the shards; nothing else may lie there')
    .option('--split <name>', 'the part of it; by default the one that figures are told of')
    .option('--table <file>', 'the file of it that says what there is, where that is called otherwise')
    .option('--pictures <folder>', 'folder of it that names of pictures begin at')
    .option('--classes <file>', 'names of the classes, one a line, in the place of its own')
    .option('--templates <file>', 'templates, one a line, in the place of its own')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', '\nEnded before it is done, the same line goes on; done, it prints the same report again.')
    .action(async (from: string, flags: BenchmarkFlags) => {
      const { to } = flags;
      requirePlace('--to', to);
      const store = await openStore();
      const files = await filesOf(store, from, to);
      const { settings, lists } = await settingsOf(flags);
      const scratch = ownScratch(paths().scratch);
      try {
        const report = await packBenchmark(store, { files, to, settings, ...lists, scratch, note: nowAndThen(say) });
        print(flags.json ? `${JSON.stringify(report)}\n` : formatBenchmark(to, report));
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    });
}

function requirePlace(what: string, prefix: string): void {
  if (placePattern.test(prefix)) return;
  throw new RunnerError('RecipeInvalid', `${what} is "${prefix}"; allowed: ${allowedPlace(prefix)}`);
}

async function filesOf(store: ObjectStore, from: string, to: string) {
  const local = await stat(from).catch(() => null);
  if (local?.isDirectory()) return localFiles(from);
  if (!placePattern.test(from))
    throw new RunnerError('RecipeInvalid', `${from} is no folder here; allowed: a folder, or ${allowedPlace(from)}`);
  if (isWithin(from, to) || isWithin(to, from))
    throw new RunnerError('RecipeInvalid', `--to is ${to} and the data set ${from}; neither may lie within the other`);
  return bucketFiles(store, from);
}

async function settingsOf({ as: kind, split, table, pictures, ...flags }: BenchmarkFlags) {
  const [classes, templates] = [await linesOf(flags.classes), await linesOf(flags.templates)];
  const settings: PackedSettings = {
    ...{ kind, split, table, pictures, shardBytes, shardExamples },
    ...(classes && { classes: sha256(classes.join('\n')) }),
    ...(templates && { templates: sha256(templates.join('\n')) }),
  };
  return { settings, lists: { ...(classes && { classes }), ...(templates && { templates }) } };
}

async function linesOf(file: string | undefined): Promise<string[] | null> {
  if (file === undefined) return null;
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new RunnerError('RecipeInvalid', `${file} can't be read (${cause.code}); name a file with one a line`, {
      cause,
    });
  });
  return linesIn(text).map((line) => line.trim());
}

/** For people: what was written, what was left out and why, and what to put into a task. */
function formatBenchmark(to: string, report: BenchmarkReport): string {
  const { settings, examples, shards, bytes, classes, templates, captions, leftOut, notes } = report;
  const texts = Object.entries(captions);
  const lines = [
    `${to}: ${counted(examples, 'picture')} in ${counted(shards, 'shard')}, ${size(bytes)} (${settings.kind})`,
  ];
  if (classes !== null) lines.push(`  ${counted(classes, 'class', 'classes')} in ${to}/classes.txt`);
  if (templates !== null) lines.push(`  ${counted(templates, 'template')} in ${to}/templates.txt`);
  if (texts.length > 0) lines.push(`  captions: ${texts.map(([tag, count]) => `${tag} ${number(count)}`).join(', ')}`);
  for (const [reason, { pictures, names }] of Object.entries(leftOut))
    lines.push(`  left out: ${number(pictures)}, ${reason}, such as ${names[0] ?? ''}`);
  for (const note of notes) lines.push(`  ${note}`);
  const named = classes === null ? '' : `, "classes": {"names": "${to}/classes.txt"}`;
  lines.push('', 'Put this into a task, or take one of infra/tasks:', `  "data": "${to}"${named}`);
  return `${lines.map((line) => printableUpTo(1000, line)).join('\n')}\n`;
}
