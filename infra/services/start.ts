import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import getPort from 'get-port';
import { RunnerError } from '../../src/runtime/errors.ts';
import { tryLock } from '../../src/runtime/lock.mjs';
import { makeOwnFolder } from '../../src/runtime/make-folder.ts';
import { paths } from '../../src/runtime/paths.ts';
import {
  type ProcessName,
  readState,
  type ServicesState,
  stateFile,
  thisProcess,
} from '../../src/runtime/services-state.ts';
import { variable } from '../../src/runtime/variables.ts';
import { provideProgram } from '../setup/go-program.ts';
import { createProgress, type Progress } from '../setup/progress.ts';
import { endLeftovers, signalGroup } from './processes.ts';
import { Service } from './service.ts';
import { temporalCommand } from './temporal.ts';
import { ensureCredentials, region, versitygwCommand } from './versitygw.ts';
import { workerCommand } from './worker.ts';

export type ServiceName = 'temporal' | 's3' | 'worker';

export interface StartOptions {
  /** Data, logs and credentials of the services; made if it is not there. */
  readonly folder: string;
  /** Which of the two to start, both if not said. */
  readonly only?: readonly ('temporal' | 's3')[];
  /** Also starts `src/worker.ts`, last. */
  readonly worker?: boolean;
  /** `usual` tries 7233, 8233 and 7480 first, and then what this folder had last time. */
  readonly ports?: 'usual' | 'free';
  readonly bucket?: string;
  /** Given to the worker beside this process's own environment, such as the addresses of services elsewhere. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly progress?: Progress;
  /**
   * They end with this process even if that is killed, for who comes back to no folder. By default they live on until the next
   * start in it, which ends them.
   */
  readonly bound?: boolean;
}

export interface Services {
  /** What a client or a child process needs to reach them: TEMPORAL_ADDRESS, AWS_*, SIGLIP2_BUCKET. */
  readonly environment: Readonly<Record<string, string>>;
  readonly temporal?: { readonly address: string; readonly ui: string };
  readonly s3?: {
    readonly endpoint: string;
    readonly bucket: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
    readonly forcePathStyle: true;
  };
  /** Rejects when a service can't be kept alive; never settles otherwise. */
  readonly failed: Promise<never>;
  /** Process id of a service now, or null. */
  pid(name: ServiceName): number | null;
  /** How often a service was started again. */
  restarts(name: ServiceName): number;
  /** Sends a signal to one service, which is started again if that ends it. */
  kill(name: ServiceName, signal: NodeJS.Signals): void;
  /** Ends everything that was started: the worker first, the store last. */
  stop(): Promise<void>;
}

const usual: Readonly<Record<string, number>> = { temporal: 7233, ui: 8233, s3: 7480 };

/** Starts services and keeps them alive. One start at a time in a folder; what a killed one left is ended first. */
export async function startServices(options: StartOptions): Promise<Services> {
  const { folder, only = ['temporal', 's3'], progress = createProgress() } = options;
  makeOwnFolder(folder, 'SIGLIP2_STATE');
  const lock = await tryLock(join(folder, 'up.lock'));
  if (!lock) throw alreadyRunning(folder);
  const services: Service[] = [];
  // The last resort of a process that ends without a stop: nothing may outlive it that it can still end.
  const abandon = () => {
    for (const service of services) if (service.process) signalGroup(service.process.pid, 'SIGKILL');
  };
  process.once('exit', abandon);
  const stop = async () => {
    for (const service of [...services].reverse()) await service.stop();
    process.off('exit', abandon);
    await lock.release();
  };
  try {
    const before = readState(folder);
    for (const name of await endLeftovers(before)) progress.say(`Ended ${name}, left over from before`);
    const ports = await choosePorts(options.ports ?? 'free', before?.ports ?? {});
    const bucket = options.bucket ?? 'siglip2';
    const cache = paths().cache;
    const temporal = only.includes('temporal')
      ? {
          address: `127.0.0.1:${ports.temporal}`,
          ui: `http://127.0.0.1:${ports.ui}`,
          program: (await provideProgram('temporal', progress, cache)).path,
        }
      : undefined;
    const s3 = only.includes('s3') ? { endpoint: `http://127.0.0.1:${ports.s3}`, bucket, region } : undefined;
    const started = new Date().toISOString();
    const record = () =>
      writeState(folder, { started, services, ports, ...(temporal && { temporal }), ...(s3 && { s3 }) });
    const start = async (command: Service['command']) => {
      const service = new Service(command, record, options.bound);
      services.push(service);
      await service.start();
    };

    const environment: Record<string, string> = { ...options.environment };
    const credentials = s3 ? ensureCredentials(folder) : undefined;
    const starts: Promise<void>[] = [];
    if (s3 && credentials) {
      const program = (await provideProgram('versitygw', progress, cache)).path;
      starts.push(start(versitygwCommand({ folder, program, port: ports.s3!, bucket })));
      Object.assign(environment, {
        AWS_ENDPOINT_URL: s3.endpoint,
        AWS_REGION: s3.region,
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        SIGLIP2_BUCKET: bucket,
      });
    }
    if (temporal) {
      const { program } = temporal;
      starts.push(start(temporalCommand({ folder, program, port: ports.temporal!, uiPort: ports.ui! })));
      Object.assign(environment, { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: 'default' });
    }
    await Promise.all(starts);
    if (options.worker) {
      const address = environment.TEMPORAL_ADDRESS ?? variable('TEMPORAL_ADDRESS') ?? '127.0.0.1:7233';
      await start(workerCommand({ folder, address, environment }));
    }
    const find = (name: ServiceName) => services.find((service) => service.command.name === name);
    return {
      environment,
      ...(temporal && { temporal: { address: temporal.address, ui: temporal.ui } }),
      ...(s3 && credentials && { s3: { ...s3, credentials, forcePathStyle: true } }),
      failed: Promise.race(services.map((service) => service.failed)),
      pid: (name) => find(name)?.process?.pid ?? null,
      restarts: (name) => find(name)?.restarts ?? 0,
      kill: (name, signal) => find(name)?.kill(signal),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A port that this folder had before, else the usual one, else any that is free. */
async function choosePorts(mode: 'usual' | 'free', before: Readonly<Record<string, number>>) {
  const chosen: Record<string, number> = {};
  for (const name of Object.keys(usual)) {
    const wished = [before[name], ...(mode === 'usual' ? [usual[name]] : [])].filter((port) => port !== undefined);
    chosen[name] = await getPort({ host: '127.0.0.1', port: wished });
  }
  return chosen;
}

function writeState(
  folder: string,
  now: Pick<ServicesState, 'started' | 'ports' | 'temporal' | 's3'> & { readonly services: readonly Service[] },
): void {
  const { services, ...rest } = now;
  const children: Record<string, ProcessName> = {};
  for (const service of services) if (service.process) children[service.command.name] = service.process;
  const state: ServicesState = { owner: thisProcess(), children, ...rest };
  const file = stateFile(folder);
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function alreadyRunning(folder: string): RunnerError {
  const state = readState(folder);
  const where = [
    state?.temporal && `Temporal at ${state.temporal.address} (${state.temporal.ui})`,
    state?.s3 && `S3 at ${state.s3.endpoint}`,
  ].filter(Boolean);
  const who = state ? `process ${state.owner.pid} since ${state.started}` : 'another process';
  return new RunnerError(
    'SetupMissing',
    `The services run already: ${who}${where.length > 0 ? `, ${where.join(', ')}` : ''}; use them, or end that process first`,
  );
}
