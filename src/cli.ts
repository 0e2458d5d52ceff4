import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { deviceKind } from '../infra/setup/device.ts';
import { doctor } from '../infra/setup/doctor.ts';
import { addCheckpointCommands } from './commands/checkpoint-commands.ts';
import { serveCodec } from './commands/codec-server.ts';
import { formatStatus } from './commands/format-status.ts';
import { addModelCommands } from './commands/model-commands.ts';
import { print, say } from './commands/output.ts';
import { planFile } from './commands/plan-file.ts';
import { readRunStatus } from './commands/run-status.ts';
import { connect } from './commands/temporal-client.ts';
import { deviceMemory } from './runtime/device-memory.ts';
import { printEnvironment } from './runtime/environment.ts';
import { RunnerError } from './runtime/errors.ts';
import { encryption, payloadKey } from './runtime/payload-codec.ts';
import { reportError } from './runtime/report-error.ts';
import { codeVersion } from './runtime/version.ts';
import { objectStoreFromEnvironment } from './storage/s3.ts';

/** The few things that the Temporal CLI and the AWS CLI do not do. */
const program = new Command('siglip2')
  .description('The SigLIP 2 training recipe as durable workflows: looking after runs and checkpoints.')
  .version(codeVersion())
  .showSuggestionAfterError()
  .addHelpText(
    'after',
    `
A run is started with the Temporal CLI:
  eval "$(npm run -s siglip2 -- env)"
  temporal workflow start --type siglip2Recipe --task-queue siglip2 --workflow-id NAME --input-file infra/recipes/emoji.json`,
  );

program
  .command('doctor')
  .description('list every part, its version and where it came from; for what is missing, what to type')
  .action(async () => {
    const { text, good } = await doctor();
    print(text);
    if (!good) process.exitCode = 1;
  });

program
  .command('env')
  .description(
    'print the lines that make temporal and aws work against the services: eval "$(npm run -s siglip2 -- env)"',
  )
  .action(() => void print(printEnvironment()));

program
  .command('plan <file>')
  .description(
    'check a recipe and say what it will take: parameters, steps, memory, operations, bytes; refuse what does not fit',
  )
  .option('--gpu-memory <gigabytes>', 'of the GPU that will train; by default what this machine trains on')
  .option('--json', 'as JSON')
  .action(async (file: string, { json, gpuMemory }: { json?: boolean; gpuMemory?: string }) => {
    const gigabytes = Number(gpuMemory ?? 1);
    if (!(gigabytes > 0))
      throw new RunnerError('RecipeInvalid', `--gpu-memory is ${gpuMemory}; allowed: a number above 0`);
    const device =
      gpuMemory === undefined ? await deviceMemory(deviceKind()) : ({ kind: 'gpu', bytes: gigabytes * 1e9 } as const);
    print(await planFile(await readText(file), file, json === true, device));
  });

program
  .command('status <run>')
  .description('where a run stands, from the workflow, its activities and the bucket; needs no worker')
  .option('--watch', 'again every two seconds, until the run has ended')
  .option('--json', 'as JSON, a line each time')
  .action(async (run: string, { watch, json }: { watch?: boolean; json?: boolean }) => {
    const store = objectStoreFromEnvironment();
    for (;;) {
      const client = await connect();
      const status = await readRunStatus(client, store, run);
      await client?.connection.close();
      const again = watch && (status.temporal === 'RUNNING' || client === null);
      const clear = watch && process.stdout.isTTY && !json ? '\x1b[H\x1b[2J' : '';
      print(clear + (json ? `${JSON.stringify(status)}\n` : formatStatus(status)));
      if (!again) return;
      await delay(2000);
    }
  });

addCheckpointCommands(program);
addModelCommands(program);

program
  .command('codec')
  .description(
    'show encrypted runs to the Temporal CLI (--codec-endpoint http://127.0.0.1:PORT) and to its UI, until Ctrl-C',
  )
  .option('--port <port>', 'on loopback', '8088')
  .option('--origin <origin>', 'where the UI is', 'http://127.0.0.1:8233')
  .option('--host <name...>', 'names that it may be asked by, beside those of loopback')
  .action(async ({ port, origin, host }: { port: string; origin: string; host?: string[] }) => {
    const key = payloadKey();
    if (!key)
      throw new RunnerError('SetupMissing', 'SIGLIP2_PAYLOAD_KEY is not set: without a key nothing is encrypted');
    const server = await serveCodec(encryption(key), { port: Number(port), origin, ...(host && { hosts: host }) });
    print(`http://127.0.0.1:${port}\n`);
    await new Promise((resolve) => server.once('close', resolve));
  });

program
  .command('dataset <name>')
  .description('make a data set in the bucket; emoji is the one there is')
  .option('--scenes <count>', 'and so many scenes of several emoji, with boxes', '0')
  .option('--noise <share>', 'and the training pictures among so much planted noise (0.4), and clean ones to curate by')
  .action(async (name: string, { scenes, noise }: { scenes: string; noise?: string }) => {
    if (name !== 'emoji') throw new RunnerError('RecipeInvalid', `data set ${name} is not known; allowed: emoji`);
    // Drawing needs packages that only development installs; the other commands go without.
    const { makeEmojiDataset } = await import('../infra/emoji/make.ts');
    const { makeNoisyEmojiDatasets } = await import('../infra/emoji/noisy.ts');
    if (!/^\d{1,6}$/.test(scenes))
      throw new RunnerError('RecipeInvalid', `--scenes is ${scenes}; allowed: a number of 0 to 999999`);
    const store = objectStoreFromEnvironment();
    const sets = noise === undefined ? null : await makeNoisyEmojiDatasets(store, { log: say, noise: Number(noise) });
    const made = await makeEmojiDataset(store, { log: say, scenes: Number(scenes) });
    const { train, heldOut, examples } = made;
    print(`${examples.train} pictures in ${train}, ${examples.heldOut} of a style of their own in ${heldOut}\n`);
    if (examples.scenes > 0) print(`${examples.scenes} scenes in ${made.scenes}\n`);
    if (sets !== null) {
      const { noisy, curated } = sets;
      const kinds = Object.entries(noisy.noise).map(([kind, count]) => `${count} ${kind}`);
      print(`${noisy.examples} pictures in ${noisy.train}, of them noise: ${kinds.join(', ')}\n`);
      print(`${curated.examples} clean pictures in ${curated.train}\n`);
    }
  });

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause) => {
    throw new RunnerError(
      'RecipeInvalid',
      `${file} can't be read (${cause.code}); name a recipe file, such as infra/recipes/emoji.json`,
      { cause },
    );
  });
}

try {
  await program.parseAsync();
} catch (error) {
  reportError(error);
}
// A connection that a library keeps for later must not keep a finished command alive.
process.exit();
