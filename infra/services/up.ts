import { Command } from 'commander';
import { endProcess } from '../../src/runtime/end-process.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { paths } from '../../src/runtime/paths.ts';
import { readState } from '../../src/runtime/services-state.ts';
import { createProgress } from '../setup/progress.ts';
import { logFolder } from './logs.ts';
import { outsideServices } from './outside.ts';
import { type Services, startServices } from './start.ts';

function banner(services: Services, outside: { readonly temporal?: string; readonly s3?: string }): string {
  const { temporal, s3 } = services;
  return [
    '',
    `Temporal  ${temporal?.address ?? `${outside.temporal} (not ours)`}`,
    ...(temporal ? [`Web page  ${temporal.ui}`] : []),
    `S3        ${s3 ? `${s3.endpoint}, bucket ${s3.bucket}` : `${outside.s3} (not ours)`}`,
    `Worker    process ${services.pid('worker')}`,
    `Logs      ${logFolder(paths().state)}`,
    '',
    'In another terminal:',
    '  eval "$(npm run -s siglip2 -- env)"',
    '  npm run siglip2 -- dataset emoji',
    '  temporal workflow start --type siglip2Recipe --task-queue siglip2 --workflow-id first --input-file infra/recipes/emoji.json',
    '',
    'Ctrl-C stops everything.',
    '',
  ].join('\n');
}

async function up(): Promise<void> {
  const folder = paths().state;
  const outside = outsideServices(process.env, readState(folder));
  const only = (['temporal', 's3'] as const).filter((name) => outside[name] === undefined);
  const progress = createProgress();
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  try {
    // Asked to end while it starts: let the start finish, so that nothing is left running.
    const services = await startServices({ folder, only, worker: true, ports: 'usual', progress });
    process.stdout.write(banner(services, outside));
    try {
      await Promise.race([asked, services.failed]);
    } finally {
      progress.say('Stopping the worker, which may write a checkpoint first; then Temporal and S3');
      await services.stop();
    }
  } catch (error) {
    if (!isRunnerError(error)) throw error;
    progress.say(error.message);
    process.exitCode = 1;
  }
  await endProcess();
}

/** `npm run up`: Temporal, an S3 server and a worker, in the foreground until Ctrl-C. */
const program = new Command('npm run up --')
  .description(
    'Starts Temporal, an S3 server and a worker on this machine, keeps them alive, and stops them on Ctrl-C.',
  )
  .addHelpText('after', `\nLogs and data lie in ${paths().state}.`)
  .action(up);

await program.parseAsync();
