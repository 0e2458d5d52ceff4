import { readFile, stat } from 'node:fs/promises';
import type { Client } from '@temporalio/client';
import { type Command, Option } from 'commander';
import { outcomesIn } from '../evaluate/evaluators/outcomes.ts';
import { compareWithIntervals, switchedOne } from '../evaluate/explain.ts';
import { type EvaluationDocument, type FigureDocument, resultIn } from '../evaluate/result.ts';
import { elsewhere } from '../evaluate/tasks/elsewhere.ts';
import { parseTask, type Task } from '../evaluate/tasks/task.ts';
import { temporalEnvironment } from '../runtime/environment.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { sha256 } from '../runtime/hash.ts';
import { readJsonText } from '../runtime/json-text.ts';
import { makeOwnFolder } from '../runtime/make-folder.ts';
import { paths } from '../runtime/paths.ts';
import { evaluate, readEvaluation, startEvaluation } from './evaluate.ts';
import { type ForeignForm, foreignForms, foreignText } from './foreign-result.ts';
import { type Explained, formatExplained } from './format-explained.ts';
import { formatComparison, formatTaskResult } from './format-task-result.ts';
import { modelInBucket } from './model-in-bucket.ts';
import { openStore } from './open-store.ts';
import { print, say } from './output.ts';
import { requirePublished } from './published-lines.ts';
import { connect } from './temporal-client.ts';

interface EvaluateOptions {
  readonly task: string;
  readonly data?: string;
  readonly detach?: boolean;
  readonly json?: boolean;
  readonly as?: ForeignForm;
}

/** `siglip2 evaluate` and `siglip2 explain`. */
export function addEvaluateCommands(program: Command): void {
  program
    .command('evaluate <model>')
    .description('evaluate a checkpoint, RUN/PHASE@STEP, or a model folder by a task file')
    .requiredOption('--task <file>', 'a JSON file: what is looked at, and by which evaluators')
    .option('--data <prefix>', 'where the data of the task lie, in the place of what it says')
    .option('--detach', 'start it and leave')
    .option('--json', 'print JSON')
    .addOption(new Option('--as <form>', 'print what another tool would write').choices([...foreignForms]))
    .addHelpText(
      'after',
      '\nIt goes on when this command ends, and when it is typed again it is followed again. What is there already is kept.',
    )
    .action(async (model: string, { task: file, data, detach, json, as }: EvaluateOptions) => {
      const said = await jsonIn(file, 'name a task file, as src/evaluate/README.md has it');
      const task = parseTask(data === undefined ? said : elsewhere(said, data));
      requirePublished(task);
      const store = await openStore();
      const name = await modelInBucket(store, model);
      await withTemporal(async (client) => {
        if (detach) {
          const { workflowId } = await startEvaluation(client, { model: name, task });
          print(`${workflowId} is at work\n`);
          return;
        }
        const { key } = await evaluate(client, { model: name, task }, say);
        const result = await readEvaluation(store, key);
        // What others write has no place for it.
        const loud = result.figures.flatMap(({ notes }) => notes.filter((note) => note.startsWith('WARNING')));
        if (as) for (const note of new Set(loud)) say(note);
        if (as) print(foreignText(as, result));
        else print(json ? `${JSON.stringify(result)}\n` : `${formatTaskResult(result)}\ns3://${store.bucket}/${key}\n`);
      });
    });

  program
    .command('explain <a> <b>')
    .description(
      'say which settings of two results differ; each is a result.json, a local file or its key in the bucket',
    )
    .option('--run', 'evaluate the first again with one thing switched at a time, and say what each explains')
    .option('--json', 'print JSON')
    .action(async (a: string, b: string, { run, json }: { run?: boolean; json?: boolean }) => {
      const [first, second] = [await resultOf(a), await resultOf(b)];
      const compared = await compareWithIntervals(first, second, outcomesOf);
      if (!run) {
        print(json ? `${JSON.stringify(compared)}\n` : formatComparison(compared));
        return;
      }
      const store = await openStore();
      const switched = switchedOne(first, second);
      const found: { readonly what: string; readonly result: EvaluationDocument }[] = [];
      await withTemporal(async (client) => {
        for (const { what, model, task } of switched) {
          say(`the first with ${what} of the second`);
          const { key } = await evaluate(client, { model, task: parseTask(task) }, say);
          found.push({ what, result: await readEvaluation(store, key) });
        }
      });
      const explained: Explained[] = [];
      for (const { what, result } of found)
        explained.push({ what, compared: await compareWithIntervals(first, result, outcomesOf) });
      const text = `${formatComparison(compared)}${formatExplained(compared, explained)}`;
      print(json ? `${JSON.stringify({ compared, explained })}\n` : text);
    });
}

export async function readTask(file: string): Promise<Task> {
  return parseTask(await jsonIn(file, 'name a task file, as src/evaluate/README.md has it'));
}

/** What a task finds of a checkpoint or of a folder here, followed to its end. */
export async function evaluateModel(model: string, task: Task): Promise<EvaluationDocument> {
  const store = await openStore();
  const name = await modelInBucket(store, model);
  let key = '';
  await withTemporal(async (client) => {
    ({ key } = await evaluate(client, { model: name, task }, say));
  });
  return readEvaluation(store, key);
}

async function withTemporal(work: (client: Client) => Promise<void>): Promise<void> {
  const client = await connect();
  if (!client)
    throw new RunnerError(
      'SetupMissing',
      `Temporal does not answer at ${temporalEnvironment().address}, and an evaluation is one of its workflows: npm run up starts it`,
    );
  try {
    await work(client);
  } finally {
    await client.connection.close();
  }
}

async function jsonIn(file: string, next: string): Promise<unknown> {
  const bytes = await readFile(file).catch((cause) => {
    throw new RunnerError('RecipeInvalid', `${file} can't be read (${cause.code}); ${next}`, { cause });
  });
  return jsonOf(bytes, file);
}

function jsonOf(bytes: Uint8Array, name: string): unknown {
  const { value, problem } = readJsonText(bytes);
  if (problem === undefined) return value;
  throw new RunnerError('RecipeInvalid', `${name}: ${problem}`);
}

/** From the bucket; null where it is not there, or is not what the result names. */
async function outcomesOf({ outcomes }: FigureDocument) {
  const store = await openStore({ reads: true });
  const bytes = await store.get(outcomes.key).catch((error) => {
    if (isRunnerError(error, 'ObjectMissing')) return null;
    throw error;
  });
  if (!bytes || sha256(bytes) !== outcomes.sha256) return null;
  makeOwnFolder(paths().scratch, 'SIGLIP2_SCRATCH');
  return outcomesIn(bytes, paths().scratch);
}

/** From the disk where there is such a file, else from the bucket. */
async function resultOf(name: string): Promise<EvaluationDocument> {
  const local = await stat(name).catch(() => null);
  const key = name.replace(/^s3:\/\/[^/]+\//, '');
  const bytes = local
    ? await readFile(name)
    : await (await openStore({ reads: true })).get(key).catch((error) => {
        if (!isRunnerError(error, 'ObjectMissing')) throw error;
        throw new RunnerError(
          'ObjectMissing',
          `there is neither a file nor a key ${name}; siglip2 evaluate prints the key of its result`,
        );
      });
  const value = jsonOf(bytes, name);
  const result = resultIn(value);
  if (result) return result;
  throw new RunnerError('RecipeInvalid', `${name} is no result of siglip2 evaluate: name a result.json`);
}
