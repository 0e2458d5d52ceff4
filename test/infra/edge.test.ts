import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitCodes } from '../../src/runtime/exit-codes.ts';
import { newestStep, type Site, startSite, tinyRecipe, until } from '../faults/harness.ts';
import { EdgeBox, project, script, standIn } from './edge-box.ts';

const unitText = readFileSync(join(project, 'infra/edge/siglip2-worker.service'), 'utf8');
const patience = 600_000;
const root = mkdtempSync(join(tmpdir(), 'siglip2-edge-'));
const has = (program: string) => spawnSync(program, ['--version']).status === 0;
afterAll(() => rmSync(root, { recursive: true, force: true }), patience);

describe('the unit', () => {
  const values = (key: string) => [...unitText.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value);

  it('ends the worker alone by SIGTERM, waits longer than its grace period, and is started again by what is no end of its own', () => {
    expect(values('KillMode')).toEqual(['mixed']);
    expect(values('KillSignal')).toEqual(['SIGTERM']);
    expect(values('Restart')).toEqual(['on-failure']);
    expect(values('SuccessExitStatus')).toEqual([String(exitCodes.preempted.code)]);
    expect(values('RestartPreventExitStatus')).toEqual([String(exitCodes.uncommitted.code)]);
    expect(values('OOMPolicy')).toEqual(['continue']);
  });

  it.skipIf(!has('systemd-analyze'))(
    'is right for systemd, and exposes little (skipped where systemd is not installed)',
    () => {
      const file = join(root, 'siglip2-worker.service');
      const filled = { USER: 'siglip2', NODE: process.execPath, STOP: '90' } as Record<string, string>;
      const text = unitText.replaceAll(/@(\w+)@/g, (_, name) => filled[name] ?? '/var/lib/siglip2');
      writeFileSync(file, text);
      const verify = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
      // What it says of units of this machine is not ours.
      const own = verify.stderr.split('\n').filter((line) => line.includes('siglip2'));
      expect(own).toEqual([]);
      // 0 is the least exposure, 100 the most; a unit without any of this has 96.
      const security = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=25', file], {
        encoding: 'utf8',
      });
      expect(security.status, security.stdout + security.stderr).toBe(0);
    },
  );
});

it.skipIf(!has('shellcheck'))('shellcheck finds nothing in the scripts (skipped where it is not installed)', () => {
  execFileSync('shellcheck', [script, standIn]);
});

describe('on a machine without systemd, whose part a script takes,', () => {
  const box = new EdgeBox(join(root, 'real'));
  let site: Site;

  beforeAll(async () => {
    // The files as they are now, whether they are committed or not.
    const files = execFileSync('git', ['-C', project, 'ls-files', '-co', '--exclude-standard', '-z']);
    execFileSync('sh', ['-c', `tar -C "$0" --null -T - -c | tar -C "$1" -x`, project, box.source], { input: files });
    site = await startSite({ worker: false });
  }, patience);
  afterAll(async () => {
    box.systemctl('stop');
    await site?.stop();
  }, patience);

  it(
    'an update waits for a commit, and the run goes on in the new version',
    async () => {
      const first = box.version();
      symlinkSync(join(project, 'node_modules'), join(box.source, 'node_modules'));
      const installed = await box.edge('install', '--from', box.source);
      expect(installed.code, installed.said).toBe(0);
      expect(box.current).toBe(first);
      const file = join(box.root, 'etc/siglip2/worker.env');
      expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
      const { SIGLIP2_STATE: _, SIGLIP2_METRICS: __, ...services } = site.services.environment;
      const lines = Object.entries({ ...services, WORKER_ARGS: '--queues siglip2,siglip2-gpu', SIGLIP2_GRACE: '70' });
      writeFileSync(file, lines.map(([name, value]) => `${name}=${value}\n`).join(''));
      expect((await box.edge('unit')).code).toBe(0);
      const unit = readFileSync(join(box.root, 'etc/systemd/system/siglip2-worker.service'), 'utf8');
      expect(unit).toContain('\nTimeoutStopSec=110\n');
      box.systemctl('start');
      const total = 4000;
      const recipe = tinyRecipe({
        schedule: { total: { steps: total }, warmup: { steps: 20 } },
        checkpoint: { every: { steps: 400 }, shard: { steps: total } },
      });
      const run = await site.start('edge', recipe);
      await until(async () => (await newestStep(site, 'edge')) >= 400);

      const second = box.version({ 'README.md': 'Another version.\n' });
      const updated = await box.edge('update');
      expect(updated.code, updated.said).toBe(0);
      expect(box.current).toBe(second);
      expect(readFileSync(join(box.root, 'exits'), 'utf8')).toBe(`${exitCodes.preempted.code}\n`);
      expect(box.runsIn).toBe(join(box.prefix, second));
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(total);
      const { events } = await site.client.workflow.getHandle('edge/pretrain').fetchHistory();
      const attempts = (events ?? []).map((event) => event.activityTaskStartedEventAttributes?.attempt ?? 1);
      // It was no kill: nothing was tried again.
      expect(Math.max(...attempts.map(Number))).toBe(1);
    },
    patience,
  );
});

describe('with a small program in the place of ours,', () => {
  const box = new EdgeBox(join(root, 'small'));
  const edgeFiles = ['edge.sh', 'siglip2-worker.service', 'journald@siglip2.conf', 'worker.env.example'];
  const program = "process.on('SIGTERM', () => process.exit(20)); setInterval(() => {}, 1000);\n";
  const setup = (line: string) => ({ 'package.json': JSON.stringify({ scripts: { setup: line } }) });
  const worker = (text: string) => ({ 'infra/setup/bootstrap.mjs': text });
  afterAll(() => box.systemctl('stop'));

  it(
    'a version that can not be set up, one that does not run, and an update that is killed leave the worker as it was',
    async () => {
      const unit = edgeFiles.map((name) => [
        `infra/edge/${name}`,
        readFileSync(join(project, 'infra/edge', name), 'utf8'),
      ]);
      const before = box.version({ ...Object.fromEntries(unit), ...setup('exit 0'), ...worker(program) });
      expect((await box.edge('update')).said).toContain('nothing is installed below');
      const installed = await box.edge('install', '--from', box.source);
      expect(installed.code, installed.said).toBe(0);
      box.systemctl('start');
      const { pid } = box;

      box.version(setup('exit 7'));
      const broken = await box.edge('update');
      expect(broken.code).toBe(1);
      expect(broken.said).toContain('could not be set up, see above; the worker goes on as it is');
      expect([box.current, box.pid]).toEqual([before, pid]);
      expect((await box.edge('update', '--ref', 'no-such-branch')).said).toContain(
        'has no no-such-branch; name a branch, a tag or a commit by --ref',
      );

      const slow = box.version(setup('touch begun && sleep 60'));
      const killed = spawn(script, ['update', ...box.options], {
        env: box.environment,
        detached: true,
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => killed.once('exit', resolve));
      await until(() => existsSync(join(box.prefix, slow, 'begun')));
      const second = await box.edge('update');
      expect(second.said).toContain(`another edge.sh is at work on ${box.prefix}; wait until it has ended`);
      process.kill(-killed.pid!, 'SIGKILL');
      await ended;
      expect([box.current, box.pid]).toEqual([before, pid]);

      const dead = box.version({ ...setup('exit 0'), ...worker('process.exit(3);\n') });
      const back = await box.edge('update');
      expect(back.code).toBe(1);
      expect(back.said).toContain(`${dead} does not run, and ${before} is back`);
      expect([box.current, box.runsIn]).toEqual([before, join(box.prefix, before)]);

      const good = box.version(worker(`${program}// Another.\n`));
      const updated = await box.edge('update');
      expect(updated.code, updated.said).toBe(0);
      expect([box.current, box.runsIn]).toEqual([good, join(box.prefix, good)]);
      expect(readFileSync(join(box.root, 'exits'), 'utf8')).toBe('20\n3\n20\n');
      // The one before stays, to go back to; what was cut off does not.
      expect(readdirSync(join(box.prefix, 'releases')).sort()).toEqual(
        [before, good].map((name) => name.slice(9)).sort(),
      );
    },
    patience,
  );
});
