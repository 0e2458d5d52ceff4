import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainShard } from '../../activities/train-shard.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { type Hands, hands, planOf, shard } from '../activities/fixture.ts';
import { startFaultProxy } from '../storage/fault-proxy.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { type Answer, answerOf } from '../support/answer-of.ts';
import { cliStart } from '../support/start.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let server: TestServer;
let on: Hands;
let folder: string;

beforeAll(async () => {
  server = await startServer();
  on = hands();
  folder = mkdtempSync(join(tmpdir(), 'cli-'));
  const plan = await planOf(server.store(), 'there');
  const deps = on.deps(server.store(), { trainer: on.trainer() });
  // Shard by shard: within one, a snapshot gives way to the next where the upload is slow.
  let from: CheckpointRef | null = null;
  for (const step of [10, 20, 30])
    from = (await trainShard(deps, shard(plan, step, from), on.attempt())).checkpoint as CheckpointRef;
});
afterAll(async () => {
  await on.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

/** Types a command, with the store of this test and a Temporal that is not there. */
async function type(...args: string[]): Promise<Answer> {
  return typeAt(server.endpoint, ...args);
}

async function typeAt(endpoint: string, ...args: string[]): Promise<Answer> {
  const { bucket, credentials } = server.settings as {
    bucket: string;
    credentials: { accessKeyId: string; secretAccessKey: string };
  };
  const child = spawn(process.execPath, [...cliStart, ...args], {
    cwd: root,
    env: {
      ...process.env,
      SIGLIP2_STATE: folder,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      SIGLIP2_BUCKET: bucket,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
    },
  });
  return answerOf(child);
}

describe('siglip2', () => {
  it('status answers from the bucket when Temporal is away', async () => {
    const { code, out, said } = await type('status', 'there');
    expect(code).toBe(0);
    expect(out).toMatch(/^there: not known to Temporal\n {2}phase pretrain, step 30, loss 0.333/);
    expect(out).toMatch(/last checkpoint there\/pretrain@30, \d+ (s|min).* ago, sha256 [0-9a-f]{12}/);
    expect(said).toBe('Temporal does not answer at 127.0.0.1:1; what follows is from the bucket alone\n');
    // A phase that was started alone is a workflow of its own.
    expect((await type('status', 'there/pretrain')).out).toMatch(
      /^there\/pretrain: not known to Temporal\n {2}phase pretrain, step 30, .*\n {2}last checkpoint there\/pretrain@30, /,
    );
    expect((await type('status', 'there/other')).said).toMatch(/no run there\/other is known/);
    const json = JSON.parse((await type('status', 'there', '--json')).out);
    expect(json).toMatchObject({ run: 'there', workflow: null, newest: { phase: 'pretrain', step: 30 } });
  });

  it('ls lists phases, and the checkpoints of a run', async () => {
    expect((await type('ls')).out).toMatch(/^there\/pretrain@30 +\S+Z +loss 0.333 .* 3 in all\n$/);
    expect((await type('ls', 'there')).out.match(/there\/pretrain@\d+/g)).toEqual([
      'there/pretrain@30',
      'there/pretrain@20',
      'there/pretrain@10',
    ]);
  });

  it('plan is wrong of data that are not there, and of memory, in one answer; and says first what it could not look at', async () => {
    const larger = join(folder, 'full.json');
    const recipe = JSON.parse(readFileSync('infra/recipes/smoke.json', 'utf8'));
    recipe.model.text.vocabulary = 'full';
    writeFileSync(larger, JSON.stringify(recipe));
    const refused = await type('plan', larger, '--gpu-memory', '0.1');
    expect([refused.code, refused.out]).toEqual([1, '']);
    expect(refused.said).toMatch(
      /^The recipe has 3 problems:\n- data: no .tar shards below data\/emoji\/train.*\n- data: no .tar shards below data\/emoji\/held-out.*\n- phase pretrain needs about [\d.]+ GB at the peak of a step, and the GPU has 0.1 GB; /,
    );
    // A mark of its encoding is no part of it.
    writeFileSync(larger, `\uFEFF${JSON.stringify(recipe)}`);
    const away = await typeAt('http://127.0.0.1:1', 'plan', larger, '--speed', '1e10');
    expect([away.code, away.said]).toEqual([3, '']);
    expect(away.out).toMatch(
      /^Not looked at: the data and the checkpoints in the bucket, since no answer from http:\/\/127.0.0.1:1 .*\nThe recipe is right as far as it could be looked at.\n {2}look at this: texts are 8 tokens long: .*\n {2}phase pretrain: 60 steps, 1,920 examples\n/,
    );
    expect(away.out).toMatch(
      /about [\d.]+ [MG]B of memory at the peak, while .*, of [\d.]+ GB: parameters 0.03, moments .*\n {4}[\d.]+e\d+ floating-point/,
    );
    expect(away.out).toMatch(/ {2}about .* of training in all, at 1.0e10 operations a second, as --speed says\n/);
  });

  it('fails in a sentence, with exit code 1 and no stack', async () => {
    const cases: [string[], RegExp][] = [
      [['status', 'nowhere'], /^Temporal does not answer[^\n]*\nno run nowhere is known/],
      [['ls', 'nowhere'], /^bucket test holds no checkpoint of nowhere;/],
      [['pull', 'nowhere', join(tmpdir(), 'x')], /^bucket test has no checkpoint nowhere;/],
      [['plan', '/no/such/file.json'], /^\/no\/such\/file.json can't be read \(ENOENT\);/],
      [['dataset', 'imagenet'], /^data set imagenet is not known; allowed: emoji/],
      [['dataset', 'emoji', '--noise', '2'], /^a share of noise of 2 is not possible; allowed: above 0, up to 0.75/],
      [['stauts', 'there'], /Did you mean status\?\)\n\(the same line with --help says what is allowed\)/],
      // Said before a model is fetched, pairs are compared or a workflow is started.
      [['export-onnx', 'there', root], /^\S+ is there already; name a folder that is not, or delete it\n$/],
      [['average', 'there', 'there', '--out', root], /^\S+ is there already; name a folder that is not/],
      [['export-onnx', join(root, 'README.md'), join(folder, 'x')], /README.md is a file; name a folder that/],
      [['calibrate', 'held', '--write', '/no/such'], /^\/no\/such can't be calibrated: it has no model.safetensors/],
      [['data', 'pack', root, 'data/x'], /lies on this machine, .* type aws s3 cp --recursive .*, and then npm run/],
      [['sweep', 'nowhere'], /^bucket test has nothing of run nowhere; npm run siglip2 -- ls lists runs/],
      [['recipe', 'new', '--task', 'lift'], /'lift' is invalid. Allowed choices are finetune, lit, lora, long/],
    ];
    const answers = await Promise.all(cases.map(([args]) => type(...args)));
    for (const [i, { code, said }] of answers.entries()) {
      expect(code, said).toBe(1);
      expect(said).toMatch(cases[i]![1]);
      expect(said).not.toMatch(/^ {4}at /m);
    }
  });

  it('import, pull, rm and sweep try the store as a run does, and end with its words', async () => {
    const proxy = await startFaultProxy(server.endpoint);
    const into = (name: string) => join(folder, name);
    const commands = (name: string) => [
      ['import', '/no/such/model', 'made'],
      ['pull', 'there', into(name)],
      ['rm', 'there', '--yes'],
      ['sweep', 'there'],
    ];
    const answers = (name: string, most = 4) =>
      Promise.all(
        commands(name)
          .slice(0, most)
          .map(async (args) => (await typeAt(proxy.endpoint, ...args)).said),
      );
    try {
      const always = { at: () => true, times: 1000 };
      proxy.faults = [{ ...always, act: { status: 200, html: '<title>login</title>' } }];
      const console = `${proxy.endpoint} is not an S3 endpoint: it answered 200 with an HTML page; set AWS_ENDPOINT_URL to the address of the store's S3 API, which is not that of its console\n`;
      expect(await answers('console')).toEqual([console, console, console, console]);
      proxy.faults = [{ ...always, act: { instead: 200, of: 412 } }];
      for (const said of await answers('careless', 2))
        expect(said).toMatch(/^the store of bucket test ignores If-None-Match, so two workers [^\n]*\n$/);
      // Whoever may only read pulls all the same.
      proxy.faults = [
        { at: ({ line }) => /^(PUT|DELETE)/.test(line), act: { status: 403, code: 'AccessDenied' }, times: 1000 },
      ];
      const pulled = await typeAt(proxy.endpoint, 'pull', 'there', into('read'));
      expect(pulled.out).toMatch(/read holds there\/pretrain@30, sha256 [0-9a-f]{64}\n/);
      expect(readdirSync(into('read'))).toContain('model.safetensors');
    } finally {
      await proxy.close();
    }
  });

  it('plan lists every mistake of a recipe, and says what is no JSON', async () => {
    const file = join(folder, 'recipe.json');
    writeFileSync(file, '{"version": 2, "phases": []}');
    expect((await type('plan', file)).said).toMatch(/^The recipe has \d problems:\n- version is 2; allowed: 1\n/);
    writeFileSync(file, '{');
    expect((await type('plan', file)).said).toMatch(/recipe.json is no JSON: /);
  });
});
