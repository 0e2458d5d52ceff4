import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { Command } from 'commander';
import { deviceKind } from '../infra/setup/device.ts';
import { doctor } from '../infra/setup/doctor.ts';
import { nameOf } from './checkpoint/damage.ts';
import { importModel, importPhase } from './checkpoint/hugging-face/import-model.ts';
import { writeModelFolder } from './checkpoint/hugging-face/write-folder.ts';
import { namePattern } from './checkpoint/keys.ts';
import { findNamed, parseName } from './checkpoint/names.ts';
import { openModel } from './checkpoint/open-model.ts';
import { pin, unpin } from './checkpoint/pins.ts';
import { pullCheckpoint } from './checkpoint/pull.ts';
import { sweepRun } from './checkpoint/sweep.ts';
import { serveCodec } from './commands/codec-server.ts';
import type { EmbedOptions } from './commands/embed.ts';
import { fetchMetrics } from './commands/fetch-metrics.ts';
import { formatStatus } from './commands/format-status.ts';
import { listRuns } from './commands/list-runs.ts';
import { planFile } from './commands/plan-file.ts';
import { remove } from './commands/remove.ts';
import { readRunStatus } from './commands/run-status.ts';
import { deviceMemory } from './runtime/device-memory.ts';
import { printEnvironment, temporalEnvironment } from './runtime/environment.ts';
import { RunnerError } from './runtime/errors.ts';
import { paths } from './runtime/paths.ts';
import { encryption, payloadConverter, payloadKey } from './runtime/payload-codec.ts';
import { reportError } from './runtime/report-error.ts';
import { codeVersion } from './runtime/version.ts';
import { objectStoreFromEnvironment } from './storage/s3.ts';

/** The few things that the Temporal CLI and the AWS CLI do not do. */
const print = (text: string) => process.stdout.write(text);
const say = (line: string) => process.stderr.write(`${line}\n`);

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

program
  .command('pull <what> <folder>')
  .description('fetch RUN, RUN/PHASE or RUN/PHASE@STEP, verified, as a folder that transformers loads')
  .option('--training', 'also what only a resume needs: moments and the like')
  .action(async (what: string, folder: string, { training }: { training?: boolean }) => {
    const options = { log: say, ...(training ? { training } : {}) };
    const { run, phase, step, sha256 } = await pullCheckpoint(objectStoreFromEnvironment(), what, folder, options);
    print(`${folder} holds ${run}/${phase}@${step}, sha256 ${sha256}\n`);
  });

program
  .command('ls [run]')
  .description('the newest checkpoint of every phase in the bucket, or all checkpoints of one run')
  .action(async (run?: string) => {
    for await (const line of listRuns(objectStoreFromEnvironment(), run)) print(`${line}\n`);
  });

program
  .command('metrics <run> <folder>')
  .description('fetch the figures of a run: event files for tensorboard --logdir, and a .jsonl for each phase')
  .action(async (run: string, folder: string) => {
    const pieces = await fetchMetrics(objectStoreFromEnvironment(), run, folder);
    print(`${folder} holds ${pieces} pieces; tensorboard --logdir ${folder} shows them\n`);
  });

program
  .command('pin <what>')
  .description('hold RUN/PHASE@STEP, or the newest of RUN/PHASE: no retention deletes it')
  .option('--as <who>', 'a name for the pin', 'person')
  .action(async (what: string, { as: who }: { as: string }) => {
    const store = objectStoreFromEnvironment();
    const at = await findNamed(store, what);
    await pin(store, at, who);
    print(`${nameOf(at)} is pinned by ${who}\n`);
  });

program
  .command('unpin <what>')
  .description('let go of RUN/PHASE@STEP')
  .option('--as <who>', 'the name of the pin', 'person')
  .action(async (what: string, { as: who }: { as: string }) => {
    const store = objectStoreFromEnvironment();
    const at = await findNamed(store, what);
    await unpin(store, at, who);
    print(`${nameOf(at)} is no longer pinned by ${who}\n`);
  });

program
  .command('rm <what>')
  .description('delete RUN, the checkpoints of RUN/PHASE, or RUN/PHASE@STEP; what is pinned is refused')
  .option('--yes', 'do it; without, say what would be deleted')
  .action(async (what: string, { yes }: { yes?: boolean }) => {
    const name = parseName(what);
    await requireEnded(await connect(), name.run, `rm ${what}`);
    for await (const line of remove(objectStoreFromEnvironment(), what, name, yes === true)) print(`${line}\n`);
  });

program
  .command('sweep <run>')
  .description('delete what killed attempts left in a run, older than a day; a run does so itself at its end')
  .option('--now', 'whatever its age: for a run that has ended')
  .action(async (run: string, { now }: { now?: boolean }) => {
    parseName(run);
    if (now) await requireEnded(await connect(), run, `sweep ${run} --now`);
    const graceMs = now ? 0 : 24 * 3_600_000;
    const { prefixes, uploads, pins } = await sweepRun(objectStoreFromEnvironment(), run, { graceMs });
    print(`${prefixes.length} attempts without a commit, ${uploads} unfinished uploads, ${pins} old pins deleted\n`);
  });

program
  .command('import <source> <run>')
  .description(
    'make a checkpoint of a Hugging Face folder (SiglipModel, Siglip2Model) or a big_vision .npz, for phases to start from',
  )
  .action(async (source: string, run: string) => {
    if (!namePattern.test(run))
      throw new RunnerError(
        'RecipeInvalid',
        `${JSON.stringify(run.slice(0, 100))} can't name a run; allowed: at most 200 of A-Z, a-z, 0-9, ., _ and -`,
      );
    const attempt = `import-${randomBytes(4).toString('hex')}`;
    const made = { scratch: paths().scratch, codeVersion: codeVersion(), attempt };
    const { sha256 } = await importModel(objectStoreFromEnvironment(), source, run, made);
    const from = JSON.stringify({ run, phase: importPhase });
    print(`${run}/${importPhase}@0, sha256 ${sha256}\na phase goes on from it with "from": ${from}\n`);
  });

program
  .command('convert <source> <folder>')
  .description('write a model that import reads, or one that was pulled, as another Hugging Face folder')
  .option('--dtype <type>', 'f32 or bf16', 'f32')
  .option('--max-shard-size <gigabytes>', 'larger files are split, with an index', '5')
  .action(async (source: string, folder: string, { dtype, maxShardSize }: { dtype: string; maxShardSize: string }) => {
    if (dtype !== 'f32' && dtype !== 'bf16')
      throw new RunnerError('RecipeInvalid', `--dtype is ${dtype}; allowed: f32, bf16`);
    const shardBytes = Number(maxShardSize) * 1e9;
    if (!(shardBytes > 0))
      throw new RunnerError('RecipeInvalid', `--max-shard-size is ${maxShardSize}; allowed: a number above 0`);
    const model = await openModel(source);
    try {
      await writeModelFolder(folder, model, { dtype, shardBytes });
    } finally {
      await model.close();
    }
    print(`${folder} holds the model in ${dtype}\n`);
  });

program
  .command('codec')
  .description(
    'show encrypted runs to the Temporal CLI (--codec-endpoint http://127.0.0.1:PORT) and to its UI, until Ctrl-C',
  )
  .option('--port <port>', 'on loopback', '8088')
  .option('--origin <origin>', 'where the UI is', 'http://127.0.0.1:8233')
  .action(async ({ port, origin }: { port: string; origin: string }) => {
    const key = payloadKey();
    if (!key)
      throw new RunnerError('SetupMissing', 'SIGLIP2_PAYLOAD_KEY is not set: without a key nothing is encrypted');
    const server = await serveCodec(encryption(key), Number(port), origin);
    print(`http://127.0.0.1:${port}\n`);
    await new Promise((resolve) => server.once('close', resolve));
  });

program
  .command('embed')
  .description('embed images and texts with a Hugging Face folder of a SigLIP 2 model, as transformers does')
  .requiredOption('--model <folder>', 'an exported, pulled or downloaded model')
  .option('--image <files...>', 'pictures')
  .option('--text <texts...>', 'texts')
  .option('--max-num-patches <count>', 'NaFlex: patches of an image', '256')
  .option('--json', 'as JSON: image_embeds, text_embeds, logits_per_text')
  .action(async (options: EmbedOptions & { maxNumPatches: string; json?: boolean }) => {
    // The only command that computes: TensorFlow is loaded here.
    const { embed, formatEmbeddings } = await import('./commands/embed.ts');
    const found = await embed({ ...options, patches: Number(options.maxNumPatches) });
    print(options.json ? `${JSON.stringify(found)}\n` : formatEmbeddings(found, options));
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

/** Refuses what would take away from under an open run. When Temporal does not answer nobody knows: then as well. */
async function requireEnded(client: Client | null, run: string, command: string): Promise<void> {
  if (!client)
    throw new RunnerError(
      'StorageRefused',
      `${command} is refused while Temporal does not answer: the run may be open`,
    );
  try {
    const { status } = await client.workflow.getHandle(run).describe();
    if (status.name !== 'RUNNING') return;
    throw new RunnerError(
      'StorageRefused',
      `${command} is refused: the run is open; end it first, temporal workflow cancel --workflow-id ${run}`,
    );
  } catch (error) {
    // Imported, or older than what Temporal remembers.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  } finally {
    await client.connection.close();
  }
}

/** Null when Temporal does not answer: the bucket still does. */
async function connect(): Promise<Client | null> {
  const { connectionOptions, namespace, address } = temporalEnvironment();
  const dataConverter = payloadConverter();
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: 3000 });
    return new Client({ connection, namespace, ...(dataConverter && { dataConverter }) });
  } catch {
    say(`Temporal does not answer at ${address}; what follows is from the bucket alone`);
    return null;
  }
}

try {
  await program.parseAsync();
} catch (error) {
  reportError(error);
}
// A connection that a library keeps for later must not keep a finished command alive.
process.exit();
