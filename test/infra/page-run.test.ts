import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { objectStoreFromEnvironment } from '../../src/storage/s3.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { jsonBlocks, layout, root } from './page-commands.ts';
import { typedForReal } from './typed-for-real.ts';

/** A clone for this test alone, in which commands may write. */
const folder = mkdtempSync(join(tmpdir(), 'siglip2-pages-'));
const env: NodeJS.ProcessEnv = { ...process.env, SIGLIP2_STATE: join(folder, 'state') };
for (const name of Object.keys(env))
  if (/^(AWS|TEMPORAL)_|^SIGLIP2_(BUCKET|TEMPORAL|VERSITYGW)$/.test(name)) delete env[name];
const left = [...typedForReal];
let up: ChildProcess | undefined;

beforeAll(() => {
  for (const name of ['package.json', 'package-lock.json', 'src', 'workflows', 'activities', 'infra'])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
});
afterAll(async () => {
  if (up?.exitCode === null) {
    const ended = new Promise((resolve) => up!.on('close', resolve));
    up.kill('SIGTERM');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

function start(line: string): ChildProcess {
  return spawn('bash', ['-c', line], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Types the next line of the list in a shell, with the names that there are here, and gives what it answers. */
async function type(text: string, then = '', names: Readonly<Record<string, string>> = {}): Promise<string> {
  expect(left.shift()).toBe(text);
  const child = start(Object.entries(names).reduce((line, [from, to]) => line.replace(from, to), text) + then);
  let [out, said] = ['', ''];
  child.stdout!.on('data', (data) => {
    out += data;
  });
  child.stderr!.on('data', (data) => {
    said += data;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect([code, code === 0 ? '' : said], text).toEqual([0, '']);
  return out;
}

async function until(what: string, done: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 120_000; Date.now() < end; await delay(200)) if (await done()) return;
  throw new Error(`waited in vain for ${what}`);
}

/** The state of the run, without a line of the list. */
async function state(): Promise<string> {
  const child = start('temporal workflow query --type status --workflow-id pets --output json');
  let out = '';
  child.stdout!.on('data', (data) => {
    out += data;
  });
  await new Promise((resolve) => child.on('close', resolve));
  return /"state": *"(\w+)"/.exec(out)?.[1] ?? '';
}

it('the first half hour goes as the README says, and so does what a model is then good for', async () => {
  // npm run up
  expect(left.shift()).toBe('npm run up');
  up = start('exec npm run up');
  let banner = '';
  up.stdout!.on('data', (data) => {
    banner += data;
  });
  await until('npm run up', async () => banner.includes('Ctrl-C stops everything.'));
  expect(banner).toContain(`Logs      ${folder}/state/logs`);

  const exported = await type('eval "$(npm run -s siglip2 -- env)"', ' && env');
  for (const line of exported.split('\n')) {
    const [, name, value] = /^(PATH|(?:AWS|TEMPORAL|SIGLIP2)_\w+)=(.*)$/.exec(line) ?? [];
    if (name) env[name] = value;
  }
  expect(env.SIGLIP2_BUCKET).toBe('siglip2');

  // Pictures of one's own: emoji here. What `aws` would copy is copied by the store, since not every machine has it.
  const store = objectStoreFromEnvironment(env);
  await drawnEmoji(store, { concepts: 24 });
  for (const [local, made, target] of [
    ['shards', 'data/emoji/train/', 'data/pets/train'],
    ['held-out', 'data/emoji/held-out/', 'data/pets/held-out'],
  ] as const) {
    mkdirSync(join(folder, local));
    for await (const { key } of store.list(made))
      if (key.endsWith('.tar')) writeFileSync(join(folder, local, key.split('/').at(-1)!), await store.get(key));
    expect(left.shift()).toBe(`aws s3 cp --recursive ./${local} "s3://$SIGLIP2_BUCKET/${target}"`);
    for (const name of readdirSync(join(folder, local)))
      await store.put(`${target}/${name}`, readFileSync(join(folder, local, name)));
  }

  // The recipe of the page, smaller and without an end, since this run is to be steered.
  const [recipe] = jsonBlocks('README.md') as { model: object; phases: object[] }[];
  const tiny = { width: 32, depth: 1, mlp: 64, heads: 2 };
  const small = {
    ...recipe!,
    model: {
      ...recipe!.model,
      vision: { size: tiny, patch: 16, resolution: 32 },
      text: { size: tiny, length: 16, vocabulary: 'compact' },
    },
    schedule: { total: { steps: 200_000 }, warmup: { percent: 5 } },
    phases: [{ ...recipe!.phases[0], batch: 16 }],
    checkpoint: { every: { steps: 50 }, shard: { steps: 1000 } },
  };
  writeFileSync(join(folder, 'pets.json'), JSON.stringify(small));
  expect(await type('npm run siglip2 -- plan pets.json')).toMatch(/phase pretrain: 200,000 steps, 3,200,000 examples/);
  expect(
    await type(
      'temporal workflow start --type siglip2Recipe --task-queue siglip2 --workflow-id pets --input-file pets.json',
    ),
  ).toMatch(/WorkflowId +pets/);
  await until('a commit', async () => {
    for await (const { key } of store.list('runs/pets/pretrain/r0/commits/')) if (key) return true;
    return false;
  });
  expect(await type('temporal workflow query --type status --workflow-id pets')).toMatch(/"state": ?"training"/);
  expect(await type('temporal workflow update execute --workflow-id pets --name pause')).toMatch(/accepted/);
  await until('the pause', async () => (await state()) === 'paused');
  expect(await type('npm run siglip2 -- status pets')).toMatch(
    /pets: paused.*\n {2}phase pretrain, step \d+ of 200,?000/,
  );
  expect(await type('npm run siglip2 -- metrics pets ./figures')).toMatch(/^.*\.\/figures holds [1-9]/m);
  expect(await type('temporal workflow update execute --workflow-id pets --name resume')).toMatch(/accepted/);
  await until('training again', async () => (await state()) === 'training');
  expect(await type('temporal workflow update execute --workflow-id pets --name checkpointNow')).toMatch(/accepted/);
  await type('temporal workflow cancel --workflow-id pets');

  expect(await type('npm run siglip2 -- ls pets')).toMatch(/^pets\/pretrain@\d+ /m);
  expect(await type('npm run siglip2 -- pull pets ./pets')).toMatch(/\.\/pets holds pets\/pretrain@\d+/);
  await sharp({ create: { width: 40, height: 30, channels: 3, background: '#a86' } })
    .jpeg()
    .toFile(join(folder, 'cat.jpg'));
  expect(await type('npm run siglip2 -- embed --model ./pets --image cat.jpg --text "a cat" "a dog"')).toMatch(
    /^cat\.jpg\n +\d+\.\d\d % {2}a cat\n +\d+\.\d\d % {2}a dog$/m,
  );
  symlinkSync(join(folder, 'pets'), join(folder, 'siglip2-base-patch16-256'));
  expect(await type('npm run siglip2 -- import ./siglip2-base-patch16-256 base')).toMatch(/^base\/import@0, sha256 /m);

  expect(await type('npm run siglip2 -- logs pets')).toMatch(/pretrain .*trainShard/);
  await type('npm run siglip2 -- export-onnx pets ./pets-onnx');
  expect(readdirSync(join(folder, 'pets-onnx/onnx')).sort()).toEqual([
    'model.onnx',
    'text_model.onnx',
    'vision_model.onnx',
  ]);
  // What was imported is what was pulled: between the two lies the same.
  const weights = (of: string) => readFileSync(join(folder, of, 'model.safetensors'));
  await type('npm run siglip2 -- average base tuned/finetune --weights 0.4 0.6 --out ./between', '', {
    'tuned/finetune': './pets',
    '0.4 0.6': '0.5 0.5',
  });
  expect(weights('between').equals(weights('pets'))).toBe(true);
  const here = { '@900': '', 'data/held-out': 'data/pets/held-out', web: 'held-out' };
  const embedded = await type(
    'npm run siglip2 -- data embed held-out data/held-out --model pets/pretrain@900',
    '',
    here,
  );
  const [, rows] = /^embeddings held-out: (\d+) examples, .* of width 32, by pets\/pretrain@\d+$/m.exec(embedded) ?? [];
  expect(Number(rows)).toBeGreaterThan(20);
  const found = await type('npm run siglip2 -- search web "a red car" --top 20', '', here);
  expect(found.match(/^ *-?0?\.\d+ /gm)).toHaveLength(20);
  await type('npm run siglip2 -- data embed web --pull ./web --form npy', '', here);
  // Rows of 32 numbers behind a header.
  expect(readFileSync(join(folder, 'web/images.npy')).length % (4 * 32)).toBe(0);
  const before = weights('pets');
  expect(await type('npm run siglip2 -- calibrate held-out --precision 0.95 --write ./pets')).toMatch(/scale/);
  expect(weights('pets').equals(before)).toBe(false);
  expect(left).toEqual([]);

  const patterns = layout();
  const known: string[] = [];
  for await (const { key } of store.list('runs/')) {
    expect(
      patterns.some((pattern) => pattern.test(key)),
      key,
    ).toBe(true);
    known.push(key);
  }
  expect(known.length).toBeGreaterThan(15);

  up.kill('SIGINT');
  await new Promise((resolve) => up!.on('close', resolve));
  expect(readFileSync(join(folder, 'state/logs/worker.log'), 'utf8')).toContain('"worker ended"');
  store.close();
}, 600_000);
