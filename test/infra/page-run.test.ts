import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, expect, it } from 'vitest';
import { objectStoreFromEnvironment, type S3ObjectStore } from '../../src/storage/s3.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { jsonBlocks, layout } from './page-commands.ts';
import { PageSite } from './page-site.ts';
import { steerByThePage } from './page-steering.ts';

const site = new PageSite();
let store: S3ObjectStore | undefined;
/** The bucket of the site, once it is up. */
const open = () => (store ??= objectStoreFromEnvironment(site.env));
afterAll(async () => {
  store?.close();
  await site.clear();
});

it('the first half hour goes as the README says, and so does what a model is then good for', async () => {
  const { env, folder } = site;
  // Its worker counts what runs cost.
  site.next('export SIGLIP2_PRICE=1.2');
  env.SIGLIP2_PRICE = '1.2';
  await site.up();
  const exported = await site.type('eval "$(npm run -s siglip2 -- env)"', {}, ' && env');
  for (const line of exported.split('\n')) {
    const [, name, value] = /^(PATH|(?:AWS|TEMPORAL|SIGLIP2)_\w+)=(.*)$/.exec(line) ?? [];
    if (name) env[name] = value;
  }
  expect(env.SIGLIP2_BUCKET).toBe('siglip2');

  // Pictures of one's own: emoji here. What `aws` would copy is copied by the store, since not every machine has it.
  const store = open();
  await drawnEmoji(store, { concepts: 24 });
  for (const [local, made, target] of [
    ['shards', 'data/emoji/train/', 'data/pets/train'],
    ['held-out', 'data/emoji/held-out/', 'data/pets/held-out'],
  ] as const) {
    mkdirSync(join(folder, local));
    for await (const { key } of store.list(made))
      if (key.endsWith('.tar')) writeFileSync(join(folder, local, key.split('/').at(-1)!), await store.get(key));
    site.next(`aws s3 cp --recursive ./${local} "s3://$SIGLIP2_BUCKET/${target}"`);
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
  expect(await site.type('npm run siglip2 -- plan pets.json')).toMatch(
    /phase pretrain: 200,000 steps, 3,200,000 examples/,
  );
  expect(
    await site.type(
      'temporal workflow start --type siglip2Recipe --task-queue siglip2 --workflow-id pets --input-file pets.json',
    ),
  ).toMatch(/WorkflowId +pets/);
  await site.until('a commit', async () => {
    for await (const { key } of store.list('runs/pets/pretrain/r0/commits/')) if (key) return true;
    return false;
  });
  expect(await site.type('temporal workflow query --type status --workflow-id pets')).toMatch(/"state": ?"training"/);
  expect(await site.type('temporal workflow update execute --workflow-id pets --name pause')).toMatch(/accepted/);
  await site.untilState('pets', 'paused');
  expect(await site.type('npm run siglip2 -- status pets')).toMatch(
    /pets: paused.*\n {2}phase pretrain, step \d+ of 200,?000/,
  );
  expect(await site.type('npm run siglip2 -- metrics pets ./figures')).toMatch(/^.*\.\/figures holds [1-9]/m);
  expect(await site.type('temporal workflow update execute --workflow-id pets --name resume')).toMatch(/accepted/);
  await site.untilState('pets', 'training');
  expect(await site.type('temporal workflow update execute --workflow-id pets --name checkpointNow')).toMatch(
    /accepted/,
  );
  await site.type('temporal workflow cancel --workflow-id pets');

  expect(await site.type('npm run siglip2 -- ls pets')).toMatch(/^pets\/pretrain@\d+ /m);
  expect(await site.type('npm run siglip2 -- pull pets ./pets')).toMatch(/\.\/pets holds pets\/pretrain@\d+/);
  await sharp({ create: { width: 40, height: 30, channels: 3, background: '#a86' } })
    .jpeg()
    .toFile(join(folder, 'cat.jpg'));
  expect(await site.type('npm run siglip2 -- embed --model ./pets --image cat.jpg --text "a cat" "a dog"')).toMatch(
    /^cat\.jpg\n +\d+\.\d\d % {2}a cat\n +\d+\.\d\d % {2}a dog$/m,
  );
  symlinkSync(join(folder, 'pets'), join(folder, 'siglip2-base-patch16-256'));
  expect(await site.type('npm run siglip2 -- import ./siglip2-base-patch16-256 base')).toMatch(
    /^base\/import@0, sha256 /m,
  );

  expect(await site.type('npm run siglip2 -- logs pets')).toMatch(/pretrain .*trainShard/);
  await site.type('npm run siglip2 -- export-onnx pets ./pets-onnx');
  expect(readdirSync(join(folder, 'pets-onnx/onnx')).sort()).toEqual([
    'model.onnx',
    'text_model.onnx',
    'vision_model.onnx',
  ]);
  // What was imported is what was pulled: between the two lies the same.
  const weights = (of: string) => readFileSync(join(folder, of, 'model.safetensors'));
  await site.type('npm run siglip2 -- average base tuned/finetune --weights 0.4 0.6 --out ./between', {
    'tuned/finetune': './pets',
    '0.4 0.6': '0.5 0.5',
  });
  expect(weights('between').equals(weights('pets'))).toBe(true);
  const here = { '@900': '', 'data/held-out': 'data/pets/held-out', web: 'held-out' };
  const embedded = await site.type(
    'npm run siglip2 -- data embed held-out data/held-out --model pets/pretrain@900',
    here,
  );
  const [, rows] = /^embeddings held-out: (\d+) examples, .* of width 32, by pets\/pretrain@\d+$/m.exec(embedded) ?? [];
  expect(Number(rows)).toBeGreaterThan(20);
  const found = await site.type('npm run siglip2 -- search web "a red car" --top 20', here);
  expect(found.match(/^ *-?0?\.\d+ /gm)).toHaveLength(20);
  await site.type('npm run siglip2 -- data embed web --pull ./web --form npy', here);
  // Rows of 32 numbers behind a header.
  expect(readFileSync(join(folder, 'web/images.npy')).length % (4 * 32)).toBe(0);
  const before = weights('pets');
  expect(await site.type('npm run siglip2 -- calibrate held-out --precision 0.95 --write ./pets')).toMatch(/scale/);
  expect(weights('pets').equals(before)).toBe(false);
}, 600_000);

it('a run is steered as workflows/README.md says', () => steerByThePage(site, open()), 600_000);

it('what the runs left lies where src/checkpoint/README.md says, and the services end', async () => {
  const patterns = layout();
  const known: string[] = [];
  for await (const { key } of open().list('runs/')) {
    expect(
      patterns.some((pattern) => pattern.test(key)),
      key,
    ).toBe(true);
    known.push(key);
  }
  expect(known.length).toBeGreaterThan(15);
  site.allTyped();
  await site.down('SIGINT');
  expect(readFileSync(join(site.folder, 'state/logs/worker.log'), 'utf8')).toContain('"worker ended"');
}, 600_000);
