import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../../infra/setup/run-tool.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { until } from '../faults/harness.ts';

export interface Postgresql {
  readonly port: number;
  readonly password: string;
  /** SIGKILL of the first process, and of all that it has started, as when a container is killed. */
  kill(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The newest PostgreSQL of this machine, where Debian's packages have it or on PATH. */
function programs(): string {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...(process.env.PATH ?? '').split(':')];
  const found = folders.find((folder) => existsSync(join(folder, 'initdb')));
  if (found) return found;
  throw new RunnerError(
    'SetupMissing',
    'PostgreSQL is needed and not installed; on Debian: apt-get install postgresql',
  );
}

/** PostgreSQL refuses to be run by root: then it is nobody's. */
const asNobody = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];

/** A PostgreSQL with data of its own below `folder`, which waits for the disk as one in production does. */
export async function startPostgresql(folder: string, port: number, password: string): Promise<Postgresql> {
  const bin = programs();
  const data = join(folder, 'postgresql');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const secret = join(folder, 'password');
  writeFileSync(secret, password, { mode: 0o600 });
  if (asNobody.length > 0) for (const path of [folder, data, secret]) chownSync(path, 65534, 65534);
  const typed = (name: string, args: readonly string[]) =>
    [...asNobody, join(bin, name), ...args] as [string, ...string[]];
  const [initdb, ...rest] = typed('initdb', [
    '--pgdata',
    data,
    '--username=temporal',
    `--pwfile=${secret}`,
    '--auth=scram-sha-256',
    '--no-sync',
  ]);
  await runTool(initdb, rest);
  let child: ChildProcess | undefined;
  const ready = () =>
    runTool(join(bin, 'pg_isready'), ['--host=127.0.0.1', `--port=${port}`, '--username=temporal']).then(
      () => true,
      () => false,
    );
  const self: Postgresql = {
    port,
    password,
    kill() {
      const { pid } = child!;
      const started = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
      child!.kill('SIGKILL');
      for (const each of started) endProcess(Number(each));
    },
    async start() {
      const [postgres, ...args] = typed('postgres', ['-D', data, '-h', '127.0.0.1', '-p', `${port}`, '-k', folder]);
      child = spawn(postgres, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr!.on('data', (text) => {
        said = (said + text).slice(-4000);
      });
      const started = child;
      process.once('exit', () => started.kill('SIGKILL'));
      await until(() => {
        if (started.exitCode !== null) throw new Error(`PostgreSQL ended with ${started.exitCode}: ${said}`);
        return ready();
      });
    },
    async stop() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child!.once('exit', resolve));
      const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
      process.kill(pid, 'SIGINT');
      await ended;
    },
  };
  await self.start();
  return self;
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has seen the end of the first one.
  }
}
