import { expect, it } from 'vitest';
import type { EmbedInput } from '../../activities/types/evaluation.ts';
import { long } from '../support/long.ts';
import { testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';

const temporal = testTemporal();

const document = { key: 'embeddings/emoji/0/plan-a.json', sha256: 'a'.repeat(64) };
const report = {
  ...{ name: 'emoji', key: 'embeddings/emoji.json', sha256: 'b'.repeat(64), model: 'base/import@0' },
  ...{ examples: 9, skipped: 0, texts: { en: 9 }, width: 8, parts: 3, bytes: 1 },
};

/** Activities that note down which parts they were asked for. */
function embedding(parts: number, done = false) {
  const made: number[] = [];
  const embedPart = async ({ part, set }: EmbedInput) => {
    if (set === 'test') made.push(part);
    return { examples: 3, skipped: 0 };
  };
  const planEmbeddings = async () => ({ document, name: 'emoji', parts, done });
  return { made, of: { planEmbeddings, embedPart, sealEmbeddings: async () => report } };
}

const ascending = (parts: number) => Array.from({ length: parts }, (_, part) => part);

// More than five hundred activities take half a minute.
it.runIf(long)('embeddings are made part by part and committed, and what is there is asked for no more', async () => {
  const { made, of } = embedding(3);
  await temporal.serving({ ...of, findShards: async () => ({ document, shards: 2 }) }, async (client) => {
    const start = { taskQueue: 'siglip2', workflowId: 'embed-emoji', args: [{ name: 'emoji' }] };
    const handle = await client.workflow.start('siglip2Embed', start);
    expect(await handle.result()).toMatchObject(report);
    expect(made.toSorted()).toEqual(ascending(3));
    expect(await handle.query('status')).toMatchObject({ state: 'done', doing: null });
    await keepHistory(client, 'embed-emoji', 'embed.json');
  });
  const again = embedding(3, true);
  await temporal.serving(again.of, async (client) => {
    const start = { taskQueue: 'siglip2', workflowId: 'embed-again', args: [{ name: 'emoji' }] };
    expect(await (await client.workflow.start('siglip2Embed', start)).result()).toMatchObject(report);
    expect(again.made).toEqual([]);
  });
});

it.runIf(long)('more than 500 parts are made once each, and what is left is handed to another history', async () => {
  const { made, of } = embedding(503);
  await temporal.serving(of, async (client) => {
    const start = { taskQueue: 'siglip2', workflowId: 'embed-large', args: [{ name: 'emoji' }] };
    const handle = await client.workflow.start('siglip2Embed', start);
    expect(await handle.result()).toMatchObject(report);
    expect(made.toSorted((a, b) => a - b)).toEqual(ascending(503));
    const { runId } = (await handle.describe()).raw.workflowExecutionInfo!.execution!;
    expect(runId).not.toBe(handle.firstExecutionRunId);
    await keepHistory(client, 'embed-large', 'embed-next-of-many.json', runId!);
  });
});
