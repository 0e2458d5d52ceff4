import type { Command } from 'commander';
import { releaseRun } from '../checkpoint/borrowed.ts';
import { nameOf } from '../checkpoint/damage.ts';
import { findNamed, parseName } from '../checkpoint/names.ts';
import { type Pin, pin, pinsOf, unpin } from '../checkpoint/pins.ts';
import { pullCheckpoint } from '../checkpoint/pull.ts';
import { sweepRun } from '../checkpoint/sweep.ts';
import { embeddingIn } from '../embeddings/keys.ts';
import { counted } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { embeddingsWorkflow } from './data-embed-command.ts';
import { fetchMetrics } from './fetch-metrics.ts';
import { listRuns } from './list-runs.ts';
import { openStore } from './open-store.ts';
import { print, say } from './output.ts';
import { remove } from './remove.ts';
import { isRun, removeEmbeddings } from './remove-embeddings.ts';
import { connect, requireEnded, requireNotAtWork } from './temporal-client.ts';

/** What is in the bucket: looking at it, fetching it, holding it, deleting it. */
export function addCheckpointCommands(program: Command): void {
  program
    .command('pull <what> <folder>')
    .description('fetch the model of RUN, RUN/PHASE or RUN/PHASE@STEP into a folder, and verify it')
    .option('--training', 'also fetch what only training needs, such as moments')
    .action(async (what: string, folder: string, { training }: { training?: boolean }) => {
      const options = { log: say, ...(training ? { training } : {}) };
      const { run, phase, step, sha256 } = await pullCheckpoint(
        await openStore({ reads: true }),
        what,
        folder,
        options,
      );
      print(`${folder} holds ${run}/${phase}@${step}, sha256 ${sha256}\n`);
    });

  program
    .command('ls [run]')
    .description('list the newest checkpoint of every phase, or all checkpoints of one run')
    .action(async (run?: string) => {
      for await (const line of listRuns(objectStoreFromEnvironment(), run)) print(`${line}\n`);
    });

  program
    .command('metrics <run> <folder>')
    .description('fetch the figures of a run: event files for TensorBoard, and one .jsonl for each phase')
    .action(async (run: string, folder: string) => {
      const pieces = await fetchMetrics(objectStoreFromEnvironment(), run, folder);
      print(
        `${folder} holds ${counted(pieces, 'piece')}; tensorboard --logdir ${folder} shows ${pieces === 1 ? 'it' : 'them'}\n`,
      );
    });

  program
    .command('pin <what>')
    .description('hold a checkpoint, RUN/PHASE@STEP or the newest of RUN/PHASE, so that nothing deletes it')
    .option('--as <who>', 'name of the pin', 'person')
    .action(async (what: string, { as: who }: { as: string }) => {
      const store = objectStoreFromEnvironment();
      const at = await findNamed(store, what);
      await pin(store, at, who);
      print(`${nameOf(at)} is pinned by ${who}\n`);
    });

  program
    .command('unpin <what>')
    .description('take the pin from RUN/PHASE@STEP')
    .option('--as <who>', 'name of the pin', 'person')
    .action(async (what: string, { as: who }: { as: string }) => {
      const store = objectStoreFromEnvironment();
      const at = await findNamed(store, what);
      const pins = (await pinsOf(store, at)).filter((one) => nameOf(one) === nameOf(at));
      await unpin(store, at, who);
      print(`${unpinned(nameOf(at), who, pins)}\n`);
    });

  program
    .command('rm <what>')
    .description(
      'delete RUN, the checkpoints of RUN/PHASE, or RUN/PHASE@STEP, unless something holds them; or embeddings/NAME',
    )
    .option('--yes', 'delete; without it the command only says what it would delete')
    .action(async (what: string, { yes }: { yes?: boolean }) => {
      const embeddings = embeddingIn(what);
      const name = parseName(what);
      const store = await openStore();
      if (embeddings !== null && !(await isRun(store, name.run))) {
        await requireNotAtWork(await connect(), embeddingsWorkflow(embeddings), `rm ${what}`);
        for await (const line of removeEmbeddings(store, embeddings, yes === true)) print(`${line}\n`);
        return;
      }
      await requireEnded(await connect(), store, name.run, `rm ${what}`);
      for await (const line of remove(store, what, name, yes === true)) print(`${line}\n`);
    });

  program
    .command('sweep <run>')
    .description('delete what killed attempts left in a run more than a day ago; a run does this at its end')
    .option('--now', 'delete it whatever its age, in a run that has ended')
    .action(async (run: string, { now }: { now?: boolean }) => {
      parseName(run);
      const store = await openStore();
      if (now) {
        await requireEnded(await connect(), store, run, `sweep ${run} --now`);
        // A run that was cancelled, terminated or that failed may not have come to it.
        await releaseRun(store, run);
      }
      const graceMs = now ? 0 : 24 * 3_600_000;
      const { prefixes, uploads, pins } = await sweepRun(store, run, { graceMs });
      if (prefixes.length + uploads + pins === 0 && !(await isRun(store, run)))
        throw new RunnerError(
          'ObjectMissing',
          `bucket ${store.bucket} has nothing of run ${run}; npm run siglip2 -- ls lists runs`,
        );
      print(
        `${counted(prefixes.length, 'attempt')} without a commit, ${counted(uploads, 'unfinished upload')}, ${counted(pins, 'old pin')} deleted\n`,
      );
    });
}

/** What became of it, and who holds the checkpoint still: a name that nobody pinned it by is a slip. */
function unpinned(name: string, who: string, pins: readonly Pin[]): string {
  const others = pins.filter((one) => one.who !== who).map((one) => one.who);
  const done = pins.some((one) => one.who === who) ? 'is no longer pinned by' : 'was not pinned by';
  return `${name} ${done} ${who}${others.length > 0 ? `; it is by ${others.join(', ')}: --as takes one of these` : ''}`;
}
