import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { PageSite } from './page-site.ts';

const update = (id: string, name: string, input?: string) =>
  `temporal workflow update execute --workflow-id ${id} --name ${name}${input === undefined ? '' : ` --input '${input}'`}`;

/** Writes a recipe of the project anew, with towers and batches of nothing. */
function shrink(site: PageSite, file: string, change: (recipe: Record<string, unknown>) => object): void {
  const recipe = site.json(file);
  const size = { width: 32, depth: 1, mlp: 64, heads: 2 };
  const { vision, init } = recipe.model;
  const model = { vision: { ...vision, size, patch: 16 }, text: { size, length: 16, vocabulary: 'compact' }, init };
  writeFileSync(site.at(file), JSON.stringify({ ...recipe, precision: 'f32', model, ...change(recipe) }));
}

/** Updates and queries of workflows/README.md, on a run `first` that has come to a limit, and so trains nothing meanwhile. */
export async function steerByThePage(site: PageSite, store: ObjectStore): Promise<void> {
  const names = await site.type('npm run siglip2 -- setup-namespace');
  expect(names.match(/^ {2}Siglip\w+ +(Keyword|Int) +was there$/gm)).toHaveLength(4);

  shrink(site, 'infra/recipes/emoji.json', () => ({
    schedule: { total: { steps: 200_000 }, warmup: { steps: 10 } },
    phases: [{ name: 'pretrain', batch: 16, objectives: { sigmoid: 1 }, limits: { deviceHours: 1e-6 } }],
    checkpoint: { every: { steps: 200 }, shard: { steps: 400 }, keep: 10 },
    evaluate: {},
  }));
  for await (const { key } of store.list('data/emoji/held-out/'))
    if (key.endsWith('.tar')) await store.put(`data/more/${key.split('/').at(-1)}`, await store.get(key));
  await site.type(
    'temporal workflow start --type siglip2Recipe --task-queue siglip2 --workflow-id first --input-file infra/recipes/emoji.json',
  );
  await site.untilState('first', 'limit');
  expect(await site.type('temporal workflow query --type status --workflow-id first')).toMatch(
    /"lastCheckpoint": ?"first\/pretrain@\d+"/,
  );
  expect(await site.type('temporal workflow query --type plan --workflow-id first')).toMatch(/"step": ?200000/);

  const accepted = async (name: string, input?: string) =>
    expect(await site.type(update('first', name, input)), name).toMatch(/accepted/);
  await accepted('retryPhase', '{"learningRate": 0.0001}');
  await accepted('retryPhase', '{"batch": 512, "learningRate": 0.0005}');
  await accepted('retryPhase', '{"data": ["data/emoji/train", "data/more"]}');
  await accepted('retryPhase', '{"skip": {"from": 1200, "to": 1209}}');
  expect(await site.refused(update('first', 'setReplicas', '{"number": 8, "steps": 250}'))).toMatch(
    /setReplicas is refused: phase pretrain is not trained in rounds; its recipe has no \W+replicas/,
  );
  await accepted('extend', '{"phase": "pretrain", "steps": 1000}');
  await accepted('setLimits', '{"step": 5000, "deviceHours": 12, "wallHours": 24, "cost": 25}');
  await accepted('setLimits', '{"wallHours": null}');
  await site.untilState('first', 'training');

  const history = await site.type('temporal workflow query --type history --workflow-id first');
  for (const told of [
    'learningRate 0.0015 ',
    'batch 16 ',
    'leaves out batches 1200 to 1209',
    'extended by 1,000 steps',
  ])
    expect(history).toContain(told);
  await site.type('temporal workflow cancel --workflow-id first');
  expect(await site.type('npm run siglip2 -- status first --watch')).toMatch(/^first: stopped/m);
}
