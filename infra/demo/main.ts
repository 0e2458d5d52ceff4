import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { endProcess } from '../../src/runtime/end-process.ts';
import { temporalEnvironment } from '../../src/runtime/environment.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { paths } from '../../src/runtime/paths.ts';
import { payloadConverter } from '../../src/runtime/payload-codec.ts';
import { readState, runningState } from '../../src/runtime/services-state.ts';
import { variable } from '../../src/runtime/variables.ts';
import { objectStoreFromEnvironment } from '../../src/storage/s3.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { outsideServices } from '../services/outside.ts';
import { startServices } from '../services/start.ts';
import { createProgress } from '../setup/progress.ts';
import { type DemoOptions, demoProgram } from './arguments.ts';
import { makeRecipeData } from './data.ts';
import { figuresOf, phaseTable, table } from './figures.ts';
import { watchRun } from './watch.ts';

/** `npm run demo`: services, data set, a whole run of the emoji recipe, and a table of what the model can do. */
async function demo({ json, full = false, name, ...options }: DemoOptions): Promise<void> {
  const own = new URL(`../recipes/${full ? 'emoji-full' : 'emoji'}.json`, import.meta.url);
  const recipe = options.recipe ?? fileURLToPath(own);
  const which = [...(full ? ['--full'] : []), ...(options.recipe ? ['--recipe', options.recipe] : [])];
  const again = ['npm run demo --', ...which, '--name', name].join(' ');
  const began = Date.now();
  const seconds = (since: number) => (Date.now() - since) / 1000;
  const progress = createProgress();
  const folder = paths().state;
  const outside = outsideServices(process.env, readState(folder));
  // A running `npm run up` of this machine is used, its worker too.
  const services = runningState(folder)
    ? null
    : await startServices({
        folder,
        only: (['temporal', 's3'] as const).filter((service) => outside[service] === undefined),
        worker: true,
        ports: 'usual',
        progress,
      });
  Object.assign(process.env, services?.environment);
  const ended = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => reject(new Error(`stopped; ${again} goes on where it was`)));
    }
    services?.failed.catch(reject);
  });
  try {
    await Promise.race([run(), ended]);
  } finally {
    await services?.stop();
  }

  async function run(): Promise<void> {
    const dataBegan = Date.now();
    const store = objectStoreFromEnvironment();
    const document = JSON.parse(readFileSync(recipe, 'utf8'));
    await makeRecipeData(store, document, progress.say);
    const data = seconds(dataBegan);

    const { connectionOptions, namespace } = temporalEnvironment();
    const connection = await Connection.connect(connectionOptions);
    const dataConverter = payloadConverter();
    const client = new Client({ connection, namespace, ...(dataConverter && { dataConverter }) });
    const input = relative('.', recipe);
    progress.say(
      `Starting the run, as this would:\n  temporal workflow start --type siglip2Recipe --task-queue siglip2 --workflow-id ${name} --input-file ${input}`,
    );
    const trainBegan = Date.now();
    const handle = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
      taskQueue: 'siglip2',
      workflowId: name,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [document],
    });
    const result = await watchRun(client, store, handle, progress);
    const figures = figuresOf(result, { data, train: seconds(trainBegan), total: seconds(began) });
    if (json) writeFileSync(json, `${JSON.stringify(figures, null, 2)}\n`);
    const fetch = [
      ...(services ? ['npm run up    # serves the bucket again, in another terminal'] : []),
      `npm run siglip2 -- pull ${name} ./${name}`,
      `aws s3 cp --recursive ${figures.export.uri} ./${name}    # after: eval "$(npm run -s siglip2 -- env)"`,
    ];
    process.stdout.write(
      `\n${table(figures)}\n${phaseTable(figures)}\ncheckpoint  ${figures.checkpoint.uri}\nsha256      ${figures.checkpoint.sha256}\n` +
        `export      ${figures.export.uri}\n\nTo take it away:\n${fetch.map((line) => `  ${line}\n`).join('')}`,
    );
  }
}

try {
  await demo(demoProgram().parse().opts());
} catch (error) {
  const failure = error as Error & { cause?: Error };
  process.stderr.write(`${isRunnerError(error) ? error.message : (deepest(failure).message ?? String(error))}\n`);
  if (variable('SIGLIP2_DEBUG')) console.error(error);
  process.exitCode = 1;
}
await endProcess();

/** The sentence of a failed workflow lies at the bottom of its causes. */
function deepest(error: Error & { cause?: unknown }): Error {
  return error.cause instanceof Error ? deepest(error.cause) : error;
}
