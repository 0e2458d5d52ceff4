import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Service } from '../../infra/services/service.ts';
import { startServices } from '../../infra/services/start.ts';
import { hasPoller } from '../../infra/services/temporal.ts';
import { silent } from '../../infra/setup/progress.ts';
import { credentialsFile, isAlive, readState } from '../../src/runtime/services-state.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import { type TestServices, testServices } from '../support/services.ts';

const started = testServices();
let services: TestServices;
beforeAll(() => {
  services = started();
});

const scratch = mkdtempSync(join(tmpdir(), 'siglip2-services-test-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Listening TCP sockets of a process, as hexadecimal addresses. */
function listeners(pid: number): string[] {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  return ['tcp', 'tcp6'].flatMap((kind) =>
    readFileSync(`/proc/net/${kind}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && sockets.has(fields[9] ?? ''))
      .map((fields) => fields[1]!.split(':')[0]!),
  );
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await what()); tries++) {
    if (tries > 1200) throw new Error(`it did not come true: ${what}`);
    await delay(50);
  }
}

test('nothing listens beyond this machine, not even the ports that Temporal opens by itself', () => {
  const temporal = listeners(services.pid('temporal')!);
  const s3 = listeners(services.pid('s3')!);
  expect(temporal.length).toBeGreaterThanOrEqual(2);
  expect(s3.length).toBeGreaterThanOrEqual(1);
  expect(new Set([...temporal, ...s3])).toEqual(new Set(['0100007F']));
});

test('the keys of the store are made once, for their owner alone, and are in no other file and no argument', () => {
  const file = credentialsFile(services.folder);
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
  const { secretAccessKey } = services.s3!.credentials;
  expect(secretAccessKey).toHaveLength(40);
  expect(readFileSync(join(services.folder, 'services.json'), 'utf8')).not.toContain(secretAccessKey);
  expect(readFileSync(`/proc/${services.pid('s3')}/cmdline`, 'utf8')).not.toContain(secretAccessKey);
});

test('a second start in the same folder says who runs already', async () => {
  await expect(startServices({ folder: services.folder, progress: silent })).rejects.toThrow(
    new RegExp(`^The services run already: process ${process.pid} since .*, Temporal at 127.0.0.1:\\d+ .*, S3 at http`),
  );
});

test('services that are killed come back with what they had', async () => {
  const store = new S3ObjectStore(services.s3!);
  await store.put('kept/one', 'bytes');
  const before = { temporal: services.pid('temporal'), s3: services.pid('s3') };
  services.kill('temporal', 'SIGKILL');
  services.kill('s3', 'SIGKILL');
  await until(() => services.restarts('temporal') === 1 && services.restarts('s3') === 1);
  await until(() => services.pid('s3') !== before.s3 && services.pid('temporal') !== before.temporal);
  await until(async () => (await store.get('kept/one').catch(() => null))?.toString() === 'bytes');
  const state = readState(services.folder);
  expect(state?.children.s3?.pid).toBe(services.pid('s3'));
  expect(Object.values(state?.children ?? {}).every(isAlive)).toBe(true);
  store.close();
});

test('what a killed npm run up left is ended, its ports and data are taken over, and a stop leaves no process', async () => {
  const folder = join(scratch, 'up');
  const script = `
    import { startServices } from ${JSON.stringify(new URL('../../infra/services/start.ts', import.meta.url).href)};
    const services = await startServices({ folder: process.argv[1] });
    console.log(JSON.stringify({ pids: [services.pid('temporal'), services.pid('s3')], environment: services.environment }));
  `;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, folder]);
  const line = await new Promise<string>((resolve) => child.stdout.once('data', (text) => resolve(String(text))));
  const first = JSON.parse(line);
  const left = readState(folder)!;
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('close', resolve));
  expect(Object.values(left.children).map(isAlive)).toEqual([true, true]);

  const second = await startServices({ folder, progress: silent });
  expect(Object.values(left.children).map(isAlive)).toEqual([false, false]);
  expect(second.environment).toEqual(first.environment);
  const running = Object.values(readState(folder)!.children);
  await second.stop();
  expect(running).toHaveLength(2);
  expect(running.map(isAlive)).toEqual([false, false]);
}, 60_000);

test('bound services end with who started them, also when that is killed', async () => {
  const folder = join(scratch, 'bound');
  const script = `
    import { startServices } from ${JSON.stringify(new URL('../../infra/services/start.ts', import.meta.url).href)};
    await startServices({ folder: process.argv[1], only: ['s3'], bound: true });
    console.log('started');
  `;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, folder]);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const { children } = readState(folder)!;
  expect(Object.values(children).map(isAlive)).toEqual([true]);
  child.kill('SIGKILL');
  await until(() => !isAlive(children.s3!));
});

test('a service that ends again and again is given up with the name of its log', async () => {
  const log = join(scratch, 'logs', 'broken.log');
  const service = new Service(
    {
      name: 'broken',
      file: '/bin/sh',
      args: () => ['-c', 'echo no disk; exit 3'],
      env: process.env,
      log,
      ready: async () => false,
      startMs: 30_000,
      stopMs: 1_000,
    },
    () => {},
  );
  await expect(service.start()).rejects.toThrow(
    `broken ended 5 times within a minute (last: exit status 3); its log says why: ${log}`,
  );
  await service.stop();
  expect(readFileSync(log, 'utf8')).toBe('no disk\n'.repeat(5));
});

test('npm run up brings Temporal, a store and a worker, and SIGTERM to npm ends them all', async () => {
  const folder = join(scratch, 'whole');
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(AWS_|TEMPORAL_|SIGLIP2_BUCKET)/.test(name)),
  );
  const child = spawn('npm', ['run', '-s', 'up'], { env: { ...env, SIGLIP2_STATE: folder } });
  let said = '';
  child.stdout.on('data', (text) => {
    said += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  await until(() => said.includes('Ctrl-C stops everything') || child.exitCode !== null);
  const state = readState(folder)!;
  expect(said).toContain(
    `Temporal  ${state.temporal?.address}\nWeb page  ${state.temporal?.ui}\nS3        ${state.s3?.endpoint}`,
  );
  expect(Object.keys(state.children).sort()).toEqual(['s3', 'temporal', 'worker']);
  expect(await hasPoller(state.temporal!.address, 'siglip2')).toBe(true);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect([state.owner, ...Object.values(state.children)].filter(isAlive)).toEqual([]);
}, 120_000);
