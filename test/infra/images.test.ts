import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import getPort from 'get-port';
import { afterAll, describe, expect, it } from 'vitest';
import { doctor } from '../../infra/setup/doctor.ts';
import { exitCodes } from '../../src/runtime/exit-codes.ts';
import { images } from '../../src/runtime/image.ts';
import { variables } from '../../src/runtime/variables.ts';
import { answerOf } from '../support/answer-of.ts';
import { testServices } from '../support/services.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'siglip2-images-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = (file: string) => readFileSync(join(root, file), 'utf8');
const version = JSON.parse(text('package.json')).version as string;

/** The stages of the Dockerfile by name, each with its instructions and those of what it begins with, continued lines joined. */
function stages(): Record<string, string[]> {
  const lines = text('infra/images/Dockerfile')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter(Boolean);
  const found: Record<string, string[]> = {};
  let at: string[] = [];
  for (const line of lines) {
    const [, from, name] = /^FROM (\S+) AS (\S+)$/.exec(line) ?? [];
    if (name !== undefined) found[name] = at = [...(found[from!] ?? [])];
    at.push(line);
  }
  return found;
}

describe('the Dockerfile', () => {
  const all = stages();
  const [instructions] = [(stage: string, word: string) => all[stage]!.filter((line) => line.startsWith(`${word} `))];

  it('has a stage for each image, which runs as nobody in particular, says its version, and can be asked how it is', () => {
    for (const image of Object.keys(images)) {
      expect(instructions(image, 'USER'), image).toEqual(['USER 1000:1000']);
      expect(instructions(image, 'ARG')).toContain(`ARG VERSION=${version}`);
      expect(instructions(image, 'LABEL').join()).toContain(`org.opencontainers.image.version="\${VERSION}"`);
      expect(instructions(image, 'ENV').join()).toContain(`SIGLIP2_IMAGE=${image} `);
      expect(instructions(image, 'HEALTHCHECK').join()).toContain('infra/images/health.mjs"]');
      // In exec form node is process 1, and gets the signal itself.
      expect(instructions(image, 'ENTRYPOINT')).toEqual([
        'ENTRYPOINT ["node", "--import", "tsx", "infra/images/start.ts"]',
      ]);
    }
  });

  it('names a Node that the project is tested on, files that are there, and variables that are known', () => {
    expect(text('infra/images/Dockerfile')).toContain(`ARG NODE_VERSION=${text('.nvmrc').trim()}\n`);
    const lines = Object.values(all).flat();
    const copied = lines.flatMap((line) => /^COPY (?!--from)(.*) \S+$/.exec(line)?.[1]?.split(' ') ?? []);
    expect(copied.length).toBeGreaterThan(5);
    for (const file of copied) expect(existsSync(join(root, file)), file).toBe(true);
    const named = lines.filter((line) => line.startsWith('ENV ')).flatMap((line) => line.match(/\b[A-Z0-9_]+(?==)/g)!);
    // The container toolkit of NVIDIA and npm read the others.
    for (const name of named) if (!/^(NVIDIA_|NODE_ENV$)/.test(name)) expect(Object.keys(variables)).toContain(name);
  });
});

describe('the doctor in an image', () => {
  it('asks for what belongs there: in light no TensorFlow, nowhere the programs of services', async () => {
    const env = { SIGLIP2_CACHE: join(folder, 'cache'), SIGLIP2_STATE: join(folder, 'state'), PATH: '' };
    const light = await doctor({ ...env, SIGLIP2_IMAGE: 'light' });
    expect(light.good, light.text).toBe(true);
    expect(light.text).toContain(`ok  Image       light of version ${version}\n`);
    expect(light.text).toContain('ok  TensorFlow  none, as is meant in the image light: it trains nothing\n');
    expect(light.text).not.toMatch(/^... (Temporal CLI|S3 server|Ports) /m);
    const worker = await doctor({ ...env, SIGLIP2_IMAGE: 'worker-cpu', SIGLIP2_DEVICE: 'cpu' });
    expect(worker.good).toBe(false);
    expect(worker.text).toContain('NO  TensorFlow  libtensorflow 2.21.0 is not there');
    const other = await doctor({ ...env, SIGLIP2_IMAGE: 'heavy' });
    expect(other.text).toContain('NO  Image       SIGLIP2_IMAGE is heavy; only the images of infra/images set it');
  });
});

/** What a container would start, in an image without TensorFlow and ONNX Runtime: they can't be found. */
function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const hidden = `
    import Module, { register } from 'node:module';
    const refuse = (name) => {
      if (/^(@tensorflow\\/|onnxruntime-node)/.test(name)) throw Object.assign(new Error('not in this image: ' + name), { code: 'MODULE_NOT_FOUND' });
    };
    const find = Module._resolveFilename;
    Module._resolveFilename = (name, ...rest) => { refuse(name); return find(name, ...rest); };
    register('data:text/javascript,' + encodeURIComponent('const refuse = ' + refuse + '; export const resolve = (name, context, next) => { refuse(name); return next(name, context); };'));`;
  const hook = `data:text/javascript,${encodeURIComponent(hidden)}`;
  return spawn(process.execPath, ['--import', 'tsx', '--import', hook, 'infra/images/start.ts', ...args], {
    cwd: root,
    env: { ...process.env, SIGLIP2_IMAGE: 'light', SIGLIP2_CACHE: join(folder, 'cache'), ...env },
  });
}

describe('a container', () => {
  it('starts commands, and says in a sentence what it does not start', async () => {
    const [said, none, wrong] = await Promise.all([
      answerOf(start(['siglip2', '--version'])),
      answerOf(start([])),
      answerOf(start(['bash'])),
    ]);
    expect(said).toEqual({ code: 0, out: `${version}\n`, said: '' });
    expect(none).toMatchObject({ code: 1, out: '' });
    expect(wrong.said).toBe(
      'This image was asked to start bash; it starts worker, siglip2, prepare, such as siglip2 doctor\n',
    );
  });

  it('of light says of a command that needs TensorFlow in which image it runs', async () => {
    const script =
      "import { tf } from './src/runtime/tensorflow.ts'; try { tf.scalar(1); } catch (error) { console.log(error.message); }";
    const env = { ...process.env, SIGLIP2_IMAGE: 'light', NODE_PATH: '' };
    const hide =
      'data:text/javascript,import M from "node:module"; const f = M._resolveFilename; M._resolveFilename = (n, ...r) => { if (n.startsWith("@tensorflow")) throw new Error("none"); return f(n, ...r); };';
    const run = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--import', hide, '--input-type=module', '-e', script],
      { cwd: root, env, encoding: 'utf8' },
    );
    expect(run.stdout).toBe('the image light has no TensorFlow; use the image worker-cpu or worker-cuda for this\n');
  });
});

describe('health', () => {
  const ask = (metrics: string, ...args: string[]) =>
    answerOf(
      spawn(process.execPath, ['infra/images/health.mjs', ...args], { cwd: root, env: { SIGLIP2_METRICS: metrics } }),
    );

  it('is an answer of the worker, whatever Temporal does; ready is one that polls', async () => {
    let pollers = 0;
    const server = createServer((_, response) =>
      response.end(`temporal_num_pollers{task_queue="siglip2",poller_type="workflow_task"} ${pollers}\n`),
    );
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const waiting = await Promise.all([ask(`${port}`), ask(`0.0.0.0:${port}`), ask(`${port}`, '--polls')]);
    pollers = 3;
    const ready = await ask(`[::]:${port}`, '--polls');
    await new Promise((done) => server.close(done));
    const gone = await ask(`${port}`);
    expect([...waiting, ready, gone].map(({ code }) => code)).toEqual([0, 0, 1, 0, 1]);
    expect(waiting[2]!.said).toBe('the worker answers, and does not poll Temporal yet\n');
    expect(ready.said).toBe('the worker answers; 3 pollers\n');
    expect(gone.said).toBe(`no worker answers at 127.0.0.1:${port} (ECONNREFUSED)\n`);
    expect((await ask('')).said).toContain('SIGLIP2_METRICS names no port');
  });
});

describe('the image light', () => {
  const services = testServices({ bucket: 'made-before' });

  it('makes bucket and namespace, polls without TensorFlow, and ends on SIGTERM', async () => {
    const port = await getPort({ host: '127.0.0.1' });
    const env = {
      ...services().environment,
      SIGLIP2_BUCKET: 'made-here',
      TEMPORAL_NAMESPACE: 'made-here',
      SIGLIP2_STATE: join(folder, 'state'),
      SIGLIP2_SCRATCH: join(folder, 'scratch'),
      SIGLIP2_METRICS: `${port}`,
    };
    const prepared = await answerOf(start(['prepare'], env));
    expect(prepared).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^bucket made-here is there\nnamespace made-here at /),
    });
    // As at each start of compose.
    expect(await answerOf(start(['prepare'], env))).toEqual(prepared);
    const worker = start(['worker', '--queues', 'siglip2'], env);
    const ended = answerOf(worker);
    const health = () => spawnSync(process.execPath, ['infra/images/health.mjs', '--polls'], { cwd: root, env }).status;
    let status: number | null = 1;
    for (let tries = 0; status !== 0 && tries < 60 && worker.exitCode === null; tries++) {
      await delay(500);
      status = health();
    }
    worker.kill('SIGTERM');
    const { code, out, said } = await ended;
    expect([status, code], out + said).toEqual([0, exitCodes.preempted.code]);
    expect(out).toContain('"msg":"worker ended"');
  });
});
