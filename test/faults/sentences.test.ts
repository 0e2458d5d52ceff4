import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowFailedError } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCommits, readCommit } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { inlineShard } from '../../src/data/index/open-index.ts';
import type { RunStatus, Status } from '../../workflows/messages.ts';
import { startFaultProxy } from '../storage/fault-proxy.ts';
import { fullDisk } from './full-disk.ts';
import { type Run, type Site, startSite, startWorker, tinyRecipe } from './harness.ts';

const patience = 600_000;
const wrongSecret = 'a-wrong-secret-that-must-be-nowhere';
let site: Site;

beforeAll(async () => {
  site = await startSite({ worker: false });
}, patience);
afterAll(() => site?.stop(), patience);

/** Runs `use` while a worker with this environment serves the site. */
async function withWorker<T>(name: string, changes: Record<string, string>, use: () => Promise<T>): Promise<T> {
  const worker = await startWorker(site, name, changes);
  try {
    return await use();
  } finally {
    await worker.stop();
  }
}

const workerLog = (name: string) => readFileSync(join(site.folder, name, 'logs', 'worker.log'), 'utf8');

/** What a person is told: the sentence that a failed workflow ends with, when its phase is given up if it waits. */
async function sentenceOf(run: Run): Promise<{ type: string | undefined; message: string }> {
  let over = false;
  const ended = run.result().finally(() => {
    over = true;
  });
  const givingUp = (async () => {
    while (!over && (await run.query<RunStatus>('status').catch(() => null))?.state !== 'waiting') await delay(200);
    if (!over) await run.executeUpdate('abandonPhase');
  })();
  const error = await ended.then(
    () => null,
    (failure: unknown) => failure,
  );
  await givingUp;
  expect(error).toBeInstanceOf(WorkflowFailedError);
  const { cause } = error as WorkflowFailedError;
  return { type: (cause as { type?: string }).type, message: cause!.message };
}

async function keysBelow(prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of site.store.list(prefix)) keys.push(key);
  return keys;
}

describe('one clear sentence', () => {
  it(
    'names three mistakes of a recipe at once, each with field, value and what is allowed, before anything is made',
    async () => {
      const recipe = tinyRecipe({
        precision: 'f16',
        schedule: { total: { steps: -5 } },
        phases: [{ name: 'pretrain', bach: 32, batch: 32 }],
      });
      const { type, message } = await withWorker('mistakes', {}, async () =>
        sentenceOf(await site.start('mistakes', recipe)),
      );
      expect(type).toBe('RecipeInvalid');
      const [head, ...problems] = message.split('\n');
      expect(head).toBe('The recipe has 3 problems:');
      expect(problems).toHaveLength(3);
      expect(problems.find((line) => line.includes('precision'))).toBe(
        '- precision is "f16"; allowed: one of "f32", "bf16", "auto"',
      );
      expect(problems.find((line) => line.includes('schedule.total'))).toBe(
        '- schedule.total.steps is -5; allowed: a whole number of at least 0',
      );
      expect(problems.find((line) => line.includes('bach'))).toBe(
        '- phases.pretrain.bach is not a known field; did you mean batch?',
      );
      expect(await keysBelow('runs/')).toEqual([]);
    },
    patience,
  );

  it(
    'ends a run whose bucket does not exist',
    async () => {
      const { type, message } = await withWorker('no-bucket', { SIGLIP2_BUCKET: 'elsewhere' }, async () =>
        sentenceOf(await site.start('no-bucket', tinyRecipe())),
      );
      expect(type).toBe('BucketMissing');
      expect(message).toBe(
        `bucket elsewhere does not exist at ${site.services.s3!.endpoint}; set SIGLIP2_BUCKET to one that does, or make it: aws s3 mb s3://elsewhere`,
      );
    },
    patience,
  );

  it(
    'ends a run whose credentials are refused, and tells no more of them than the ending of the key id',
    async () => {
      const { type, message } = await withWorker('refused', { AWS_SECRET_ACCESS_KEY: wrongSecret }, async () =>
        sentenceOf(await site.start('refused', tinyRecipe())),
      );
      const { endpoint, credentials } = site.services.s3!;
      expect(type).toBe('CredentialsRefused');
      expect(message).toContain(`${endpoint} refused the credentials for `);
      expect(message).toContain(`access key id ending in ${credentials.accessKeyId.slice(-4)}`);
      expect(message).toContain('; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a pair that may');
    },
    patience,
  );

  it(
    `ends a run whose snapshots find no room (${fullDisk.how}); with room it goes on under the same name`,
    async () => {
      const scratch = join(site.folder, 'small-disk');
      const short = tinyRecipe({ schedule: { total: { steps: 80 } } });
      const disk = fullDisk.make(scratch);
      const { type, message } = await withWorker(
        'full-disk',
        { ...disk.environment, SIGLIP2_SCRATCH: scratch },
        async () => sentenceOf(await site.start('full-disk', short)),
      );
      expect(type).toBe('DiskFull');
      expect(message).toMatch(
        /^phase pretrain was abandoned at step 0, after it had failed: the disk is full: could not write .*\/small-disk\/.*\/step-00000040\/model\.safetensors; free space there/,
      );
      expect(await findCommits(site.store, { run: 'full-disk' })).toEqual([]);
      disk.remove();
      // By the way on a store that lists neither uploads nor versions, and takes no checksums.
      const lacks = { status: 501, code: 'NotImplemented', message: 'not implemented' };
      const proxy = await startFaultProxy(site.services.s3!.endpoint!);
      let refused = 0;
      proxy.faults = [
        { at: ({ line }) => /^GET .*[?&](uploads|versioning)/.test(line), act: lacks, times: 1000 },
        {
          at: ({ headers }) => 'x-amz-checksum-crc32' in headers && ++refused > 0,
          act: lacks,
          times: 1000,
        },
      ];
      const lacking = { AWS_ENDPOINT_URL: proxy.endpoint, AWS_REQUEST_CHECKSUM_CALCULATION: 'when_required' };
      const { phases } = await withWorker('roomy', { ...lacking, SIGLIP2_SCRATCH: scratch }, async () =>
        (await site.start('full-disk', short)).result(),
      );
      expect(phases[0]!.checkpoint.step).toBe(80);
      const lines = proxy.lines.join('\n');
      expect(lines).toMatch(/^PUT .*model\.safetensors/m);
      expect(lines).toMatch(/^GET .*[?&]uploads/m);
      expect(lines).toMatch(/^GET .*[?&]versioning/m);
      expect(refused).toBe(0);
      await proxy.close();
    },
    patience,
  );
});

it(
  'a picture with flipped bytes, NaN and a shard that breaks off are skipped, counted once and named, and the run ends well',
  async () => {
    const { key, examples } = await inlineShard(await indexData(site.store, 'data/emoji/train'), 0);
    const flipped = Buffer.from(await site.store.get(key));
    const rotten = examples[7]!;
    const middle = rotten.image.offset + Math.floor(rotten.image.size / 2);
    for (let i = 0; i < 64; i++) flipped[middle + i]! ^= 0xff;
    // As Python writes what is no number.
    const nan = examples[9]!;
    const meta = flipped.subarray(nan.meta.offset, nan.meta.offset + nan.meta.size);
    const [field] = /"hexcode": ?"[^"]*"/.exec(meta.toString()) as unknown as [string];
    meta.write('"hexcode":NaN'.padEnd(Buffer.byteLength(field)), meta.indexOf(field));
    const cutAt = examples[40]!;
    const cut = flipped.subarray(0, cutAt.image.offset + 100);
    await site.store.put('data/rotten/train/a.tar', flipped);
    await site.store.put('data/rotten/train/b.tar', (await site.store.get(key)).subarray(0, cut.length));

    const recipe = tinyRecipe({
      data: { train: 'data/rotten/train', evaluation: 'data/emoji/held-out' },
      schedule: { total: { steps: 120 } },
    });
    const { result, status } = await withWorker('rotten', {}, async () => {
      const run = await site.start('rotten', recipe);
      return { result: await run.result(), status: await run.query<Status>('status') };
    });
    expect(result.phases[0]!.checkpoint.step).toBe(120);
    // The examples of both shards before the cut; what is cut, the picture and the NaN, though each was drawn many times.
    const reasons = [
      'ends beyond the shard',
      'the JSON member has NaN, which is not JSON',
      "the PNG image can't be decoded",
    ];
    const skipped = {
      members: 3,
      of: examples.length + 41,
      reasons: reasons.map((reason) => ({ reason, members: 1, example: expect.any(String) })),
    };
    expect(result.data).toEqual({ examples: examples.length + 40, corrupt: 3, reasons: skipped.reasons });
    expect(result.phases[0]!.skipped).toEqual(skipped);
    const others = { reason: 'other reasons', members: 1, example: '' };
    expect(status.skipped).toEqual({ ...skipped, reasons: [...skipped.reasons.slice(0, 2), others] });
    const place = `data/rotten/train/a.tar ${nan.name}: behind "hexcode", character `;
    expect(status.skipped!.reasons[1]!.example).toContain(place);
    const { prefix } = result.phases[0]!.export;
    const card = (await site.store.get(`${prefix}README.md`)).toString();
    expect(card).toContain(`- Not used: 3 of ${examples.length + 41} members of the data\n`);
    expect(card).toContain('  - 1: the JSON member has NaN, which is not JSON, such as data/rotten/train/a.tar');
    expect(result.phases[0]!.metrics.objectives).toMatchObject({ 'data/skipped': 3 });

    const commit = await readCommit(site.store, { run: 'rotten', phase: 'pretrain', revision: 0, step: 120 });
    const { manifest } = await readManifest(site.store, commit);
    expect(manifest.skipped.map(({ shard, name }) => `${shard} ${name}`).sort()).toEqual(
      [`a.tar ${rotten.name}`, `a.tar ${nan.name}`, `b.tar ${cutAt.name}`]
        .map((name) => `data/rotten/train/${name}`)
        .sort(),
    );
    const [indexKey] = (await keysBelow('runs/rotten/data/')).filter((name) => name.includes('train-index'));
    const index = JSON.parse((await site.store.get(indexKey!)).toString());
    expect(index.corrupt).toEqual([
      { shard: 'data/rotten/train/b.tar', name: expect.stringContaining(cutAt.name), reason: expect.any(String) },
    ]);
    const skips = workerLog('rotten')
      .split('\n')
      .filter((line) => line.includes('skipped: '))
      .map((line) => JSON.parse(line));
    expect(skips).toMatchObject([index.corrupt[0], ...manifest.skipped.slice(1)]);
  },
  patience,
);

it('in all of this no history, no log and no log of a run holds a secret, and no history a stack trace', async () => {
  const { secretAccessKey, accessKeyId } = site.services.s3!.credentials;
  const secrets = [secretAccessKey, wrongSecret, accessKeyId];
  const texts: Record<string, string> = {};
  const workflows: string[] = [];
  for await (const { workflowId, runId } of site.client.workflow.list()) {
    workflows.push(workflowId);
    const history = await site.client.workflow.getHandle(workflowId, runId).fetchHistory();
    const json = historyToJSON(history) as unknown;
    texts[`history of ${workflowId}`] = decoded(json);
    expect(stacksOf(json), workflowId).toEqual([]);
  }
  const asked = ['full-disk', 'full-disk/pretrain', 'mistakes', 'no-bucket', 'refused', 'rotten', 'rotten/pretrain'];
  expect([...new Set(workflows)].sort()).toEqual(asked);
  for (const folder of readdirSync(site.folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.log$|run-logs\/.*\.(open|jsonl)$/.test(name),
  ))
    texts[folder] = readFileSync(join(site.folder, folder), 'utf8');
  for await (const { key } of site.store.list('logs/')) texts[key] = (await site.store.get(key)).toString();
  const logged = Object.entries(texts).filter(([name]) => /^logs\/|run-logs\//.test(name));
  // A worker whose keys are refused keeps its lines on its disk.
  const ofRuns = ['full-disk', 'mistakes', 'refused', 'rotten'];
  for (const run of ofRuns)
    expect(
      logged.filter(([, text]) => text.includes(`"run":"${run}"`)),
      run,
    ).not.toEqual([]);
  // What is looked through is readable: it does hold the ending of the key id, in a history and in a log.
  expect(texts['history of refused']).toContain(`ending in ${accessKeyId.slice(-4)}`);
  expect(texts['refused/logs/worker.log']).toContain(`ending in ${accessKeyId.slice(-4)}`);
  expect(Object.entries(texts).filter(([, text]) => secrets.some((secret) => text.includes(secret)))).toEqual([]);
});

/** JSON with its base64 payloads as text, so that nothing in them is overlooked. */
function decoded(json: unknown): string {
  return JSON.stringify(json, (key, value) =>
    key === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value,
  );
}

function stacksOf(json: unknown): string[] {
  const found: string[] = [];
  JSON.stringify(json, (key, value) => {
    if (key === 'stackTrace' && value) found.push(value);
    return value;
  });
  return found;
}
