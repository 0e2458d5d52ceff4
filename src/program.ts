import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { addDatasetCommand } from '../infra/emoji/dataset-command.ts';
import { deviceKind } from '../infra/setup/device.ts';
import { doctor } from '../infra/setup/doctor.ts';
import { addAverageCommand } from './commands/average-command.ts';
import { addCalibrateCommand } from './commands/calibrate-command.ts';
import { addCheckStoreCommand } from './commands/check-store.ts';
import { addCheckpointCommands } from './commands/checkpoint-commands.ts';
import { serveCodec } from './commands/codec-server.ts';
import { addDataCommands } from './commands/data-commands.ts';
import { addEvaluateCommands } from './commands/evaluate-commands.ts';
import { formatStatus } from './commands/format-status.ts';
import { addLogsCommand } from './commands/logs-command.ts';
import { addModelCommands } from './commands/model-commands.ts';
import { addOnnxCommand } from './commands/onnx-command.ts';
import { print } from './commands/output.ts';
import { planFile } from './commands/plan-file.ts';
import { addRecipeCommand } from './commands/recipe-command.ts';
import { addReportCommand } from './commands/report-command.ts';
import { addRoundsOptions, type RoundsOptions, roundsWanted } from './commands/rounds-options.ts';
import { readRunStatus } from './commands/run-status.ts';
import { addSearchCommand } from './commands/search-command.ts';
import { addSetupNamespaceCommand } from './commands/setup-namespace.ts';
import { speedHelp } from './commands/speed.ts';
import { connect } from './commands/temporal-client.ts';
import { type Prices, pricedByDevice, pricesFromEnvironment } from './costs/prices.ts';
import { type DeviceMemory, deviceMemory, deviceName } from './runtime/device-memory.ts';
import { isRead } from './runtime/end-process.ts';
import { printEnvironment } from './runtime/environment.ts';
import { RunnerError } from './runtime/errors.ts';
import { exitCodes } from './runtime/exit-codes.ts';
import { encryption, payloadKey } from './runtime/payload-codec.ts';
import { codeVersion } from './runtime/version.ts';
import { objectStoreFromEnvironment } from './storage/s3.ts';

const notWhole = exitCodes.notWhole.code;

/** The device that `--gpu-memory` names, or what this machine trains on. */
async function deviceOf(gpuMemory?: string): Promise<DeviceMemory | null> {
  if (gpuMemory === undefined) return deviceMemory(deviceKind());
  const gigabytes = Number(gpuMemory);
  if (!(gigabytes > 0))
    throw new RunnerError('RecipeInvalid', `--gpu-memory is ${gpuMemory}; allowed: a number above 0`);
  return { kind: 'gpu', bytes: gigabytes * 1e9 };
}

/** `npm run siglip2 --`: the few things that the Temporal CLI and the AWS CLI do not do. */
export function createProgram(): Command {
  const program = new Command('npm run siglip2 --')
    .description('Checks recipes, shows runs, and looks after checkpoints and models.')
    .version(codeVersion())
    .showSuggestionAfterError()
    .showHelpAfterError('(the same line with --help says what is allowed)')
    .addHelpText(
      'after',
      `
A run is started with the Temporal CLI:
  eval "$(npm run -s siglip2 -- env)"
  npm run siglip2 -- dataset emoji
  temporal workflow start --type siglip2Recipe --task-queue siglip2 --workflow-id NAME --input-file infra/recipes/emoji.json`,
    );

  program
    .command('doctor')
    .description('list every part with its version and its origin; for what is missing, say what to type')
    .action(async () => {
      const { text, good } = await doctor();
      print(text);
      if (!good) process.exitCode = 1;
    });

  program
    .command('env')
    .description('print lines that point temporal and aws at the services: eval "$(npm run -s siglip2 -- env)"')
    .action(() => void print(printEnvironment()));

  addRoundsOptions(program.command('plan <file>'))
    .description('check a recipe against data and checkpoints, and say what it takes: steps, memory, time, storage')
    .option('--gpu-memory <gigabytes>', 'memory of the GPU that will train; by default, what this machine trains on')
    .option('--speed <speed>', speedHelp)
    .option('--price <amount>', 'what an hour of the device costs; by default as SIGLIP2_PRICE says')
    .option('--json', 'print JSON')
    .addOption(
      new Option(
        '--kubernetes',
        'print values for the chart in infra/kubernetes: memory and disk of a worker',
      ).conflicts(['json', 'link']),
    )
    .addHelpText(
      'after',
      `\nIt ends with 0 for right, 1 for wrong, ${notWhole} for right as far as it could be looked at.`,
    )
    .action(
      async (
        file: string,
        options: {
          json?: boolean;
          kubernetes?: boolean;
          gpuMemory?: string;
          speed?: string;
          price?: string;
        } & RoundsOptions,
      ) => {
        const { json, kubernetes, gpuMemory, speed, price } = options;
        const device = await deviceOf(gpuMemory);
        const how = {
          json: json === true,
          kubernetes,
          device,
          speed,
          prices: await pricesHere(price),
          rounds: roundsWanted(options),
          open: objectStoreFromEnvironment,
        };
        const { text, whole } = await planFile(await readText(file), file, how);
        print(text);
        if (!whole) process.exitCode = notWhole;
      },
    );

  program
    .command('status <run>')
    .description('say where a run stands; works without a worker and without Temporal')
    .option('--watch', 'look again every two seconds until the run has ended')
    .option('--json', 'print JSON, one line for each look')
    .action(async (run: string, { watch, json }: { watch?: boolean; json?: boolean }) => {
      const store = objectStoreFromEnvironment();
      for (;;) {
        const client = await connect();
        const status = await readRunStatus(client, store, run);
        await client?.connection.close();
        const again = watch && (status.temporal === 'RUNNING' || client === null);
        const clear = watch && process.stdout.isTTY && !json ? '\x1b[H\x1b[2J' : '';
        print(clear + (json ? `${JSON.stringify(status)}\n` : formatStatus(status)));
        if (!again || !isRead()) return;
        await delay(2000);
      }
    });

  addRecipeCommand(program, deviceOf);
  addLogsCommand(program);
  addReportCommand(program);
  addCheckpointCommands(program);
  addModelCommands(program);
  addOnnxCommand(program);
  addAverageCommand(program);
  addEvaluateCommands(program);
  addDataCommands(program);
  addSearchCommand(program);
  addCalibrateCommand(program);

  program
    .command('codec')
    .description('decrypt encrypted runs for the Temporal CLI and its web page, until Ctrl-C')
    .option('--port <port>', 'port on 127.0.0.1', '8088')
    .option('--origin <origin>', 'address of the web page', 'http://127.0.0.1:8233')
    .option('--host <name...>', 'names that it may be asked by, beside those of this machine')
    .action(async ({ port, origin, host }: { port: string; origin: string; host?: string[] }) => {
      const key = payloadKey();
      if (!key)
        throw new RunnerError('SetupMissing', 'SIGLIP2_PAYLOAD_KEY is not set: without a key nothing is encrypted');
      const server = await serveCodec(encryption(key), { port: Number(port), origin, ...(host && { hosts: host }) });
      print(`http://127.0.0.1:${port}\n`);
      await new Promise((resolve) => server.once('close', resolve));
    });

  addSetupNamespaceCommand(program);
  addCheckStoreCommand(program);
  addDatasetCommand(program);
  return program;
}

/** The prices of the environment, with that of an hour as an option says it. */
async function pricesHere(price: string | undefined): Promise<Prices> {
  const prices = pricesFromEnvironment(pricedByDevice() ? await deviceName(deviceKind()) : null);
  if (price === undefined) return prices;
  const hour = Number(price);
  if (price.trim() !== '' && hour >= 0 && Number.isFinite(hour)) return { ...prices, hour };
  throw new RunnerError('RecipeInvalid', `--price is ${price}; allowed: what an hour of the device costs, such as 1.5`);
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause) => {
    throw new RunnerError(
      'RecipeInvalid',
      `${file} can't be read (${cause.code}); name a recipe file, such as infra/recipes/emoji.json`,
      { cause },
    );
  });
}
