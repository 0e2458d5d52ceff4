import { expect, it } from 'vitest';
import type { PackReport } from '../../src/packing/report.ts';
import { parsePack } from '../../src/packing/settings.ts';
import { long } from '../support/long.ts';
import { testTemporal } from './harness.ts';

const temporal = testTemporal();

// More than a thousand activities take a minute.
it.runIf(long)(
  'a pack of 620 parts looks at each once and packs each once, in histories of less than 4,000 events',
  async () => {
    const settings = parsePack({ from: 'in', to: 'out' });
    const [hashed, merged, packed]: [number[], number[], number[]] = [[], [], []];
    const steps: string[] = [];
    const report = { examples: 620 } as PackReport;
    const of = {
      beginPack: async () => ({ settings, done: false }),
      listPack: async () => ({ layout: 'folder', parts: 620, items: 250_000 }),
      hashPart: async ({ part }: { part: number }) => ({ usable: hashed.push(part) && 400 }),
      mergePart: async ({ partition }: { partition: number }) => ({ edges: merged.push(partition), crowded: 0 }),
      settlePack: async ({ partitions }: { partitions: number }) => ({
        exact: steps.push(`settle ${partitions}`),
        near: 0,
      }),
      packPart: async ({ part }: { part: number }) => ({ shards: 1, examples: packed.push(part) && 1, bytes: 1 }),
      reportPack: async () => {
        steps.push('report');
        return report;
      },
    };
    await temporal.serving(of, async (client) => {
      const start = { taskQueue: 'siglip2', workflowId: 'large', args: [{}] };
      const handle = await client.workflow.start('siglip2Pack', start);
      expect(await handle.result()).toEqual(report);
      const all = Array.from({ length: 620 }, (_, i) => i);
      for (const parts of [hashed, packed]) expect(parts.sort((a, b) => a - b)).toEqual(all);
      expect([merged.sort(), steps]).toEqual([
        [0, 1, 2],
        ['settle 3', 'report'],
      ]);
      const lengths: number[] = [];
      for await (const { historyLength } of client.workflow.list({ query: 'WorkflowId = "large"' }))
        lengths.push(historyLength);
      expect(Math.max(...lengths)).toBeLessThan(4000);
      expect(await handle.query('status')).toMatchObject({ state: 'done', doing: null });
    });
  },
);
