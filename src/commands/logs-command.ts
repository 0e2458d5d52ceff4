import type { Command } from 'commander';
import { namePattern } from '../checkpoint/keys.ts';
import { type LogOf, LogReader, type ReadLine } from '../run-logs/read.ts';
import { isRead } from '../runtime/end-process.ts';
import { RunnerError } from '../runtime/errors.ts';
import { printable, unprintable } from '../runtime/printable.ts';
import { variable } from '../runtime/variables.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { followLog, stateOf } from './follow-log.ts';
import { formatLogLine } from './format-log-line.ts';
import { print, say } from './output.ts';
import { connect } from './temporal-client.ts';

interface LogsOptions {
  readonly follow?: boolean;
  readonly since?: string;
  readonly attempt?: string;
  readonly json?: boolean;
}

export function addLogsCommand(program: Command): void {
  program
    .command('logs <run> [phase]')
    .description('print what workers and trainers said for a run, or a phase of it, as the bucket has it')
    .option('--follow', 'go on with what comes, until the run has ended')
    .option('--since <time>', 'lines of the last 30s, 10m, 2h or 1d, or from a time on, such as 2026-11-27T07:30Z')
    .option('--attempt <attempt>', 'lines of one attempt: its number, or how its id begins')
    .option('--json', 'print JSON, one line for each')
    .action(async (run: string, phase: string | undefined, options: LogsOptions) => {
      const of = logOf(run, phase);
      const store = objectStoreFromEnvironment();
      const since = options.since === undefined ? undefined : sinceOf(options.since);
      const reader = new LogReader(store, of);
      const { show, shown } = printer(of, options);
      for await (const line of reader.look(since)) {
        if (!isRead()) return;
        show(line);
      }
      if (options.follow) await follow(reader, of, show, since);
      if (!reader.found) throw unknown(store, of);
      if (shown() === 0) say(noneOf(what(of), options));
    });
}

/** RUN and PHASE, or RUN/PHASE, as other commands have it. */
export function logOf(what: string, named?: string): LogOf {
  const [run = '', ...rest] = what.split('/');
  const phases = [...rest, ...(named === undefined ? [] : [named])];
  const [phase] = phases;
  if (phases.length <= 1 && [run, ...phases].every((name) => namePattern.test(name)))
    return phase === undefined ? { run } : { run, phase };
  const got = JSON.stringify([what, ...(named === undefined ? [] : [named])].join(' ').slice(0, 100));
  throw new RunnerError(
    'RecipeInvalid',
    `${got} names no run and phase; type logs RUN or logs RUN PHASE, names of A-Z, a-z, 0-9, ., :, _ and -; npm run siglip2 -- ls lists runs`,
  );
}

const units = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** A time in milliseconds since 1970. */
export function sinceOf(text: string, now = Date.now()): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (count !== undefined) return now - Number(count) * units[unit as keyof typeof units] * 1000;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new RunnerError(
    'RecipeInvalid',
    `--since is ${JSON.stringify(text.slice(0, 60))}; allowed: 30s, 10m, 2h, 1d, or a time such as 2026-11-27T07:30Z`,
  );
}

function printer(
  { phase }: LogOf,
  { attempt, json }: LogsOptions,
): { readonly show: (line: ReadLine) => void; readonly shown: () => number } {
  let shown = 0;
  const how = { colours: process.stdout.isTTY === true && !variable('NO_COLOR'), phases: phase === undefined };
  const wanted = (line: ReadLine) =>
    attempt === undefined ||
    (/^\d{1,6}$/.test(attempt) ? line.number === Number(attempt) : line.attempt?.startsWith(attempt));
  const show = (line: ReadLine) => {
    if (!wanted(line)) return;
    shown++;
    print(`${json ? asJson(line) : formatLogLine(line, how)}\n`);
  };
  return { show, shown: () => shown };
}

const what = ({ run, phase }: LogOf) => (phase === undefined ? run : `${run}/${phase}`);

/** What there is to say where a log has lines, and none that was asked for. */
export function noneOf(log: string, { attempt, since }: Pick<LogsOptions, 'attempt' | 'since'>): string {
  const asked = [
    ...(attempt === undefined ? [] : [`of --attempt ${printable(attempt)}`]),
    ...(since === undefined ? [] : [`of --since ${printable(since)}`]),
  ];
  return `the log of ${log} has no line ${asked.join(' ')}; without ${asked.length > 1 ? 'them' : 'that'} it is printed whole`;
}

/** JSON that steers no terminal either: what JSON itself would leave as it is, is escaped. */
const asJson = (line: ReadLine) =>
  JSON.stringify(line).replace(unprintable, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Goes on until the run, or the phase, has ended, by Temporal; where that does not answer, until Ctrl-C. */
async function follow(
  reader: LogReader,
  of: LogOf,
  show: (line: ReadLine) => void,
  since: number | undefined,
): Promise<void> {
  const client = await connect();
  if (!reader.found) say('nothing was said yet');
  if (!client) say('nobody can say when the run ends: Ctrl-C ends this');
  try {
    const state = async () => (client ? stateOf(client, of) : 'open');
    await followLog(reader, show, { state, since, isRead });
  } finally {
    await client?.connection.close();
  }
}

function unknown(store: Pick<ObjectStore, 'bucket'>, of: LogOf): RunnerError {
  const whole = of.phase === undefined ? '' : `npm run siglip2 -- logs ${of.run} prints that of all its phases, `;
  return new RunnerError(
    'ObjectMissing',
    `bucket ${store.bucket} has no log of ${what(of)}; ${whole}npm run siglip2 -- ls lists runs, and those of before logs were kept have none`,
  );
}
