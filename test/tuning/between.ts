import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { averageFolder } from '../../src/averaging/average-folder.ts';
import { nameOf } from '../../src/checkpoint/damage.ts';
import { importByContent } from '../../src/checkpoint/hugging-face/import-by-content.ts';
import { pullCheckpoint } from '../../src/checkpoint/pull.ts';
import { evaluate, readEvaluation } from '../../src/commands/evaluate.ts';
import { parseTask } from '../../src/evaluate/tasks/task.ts';
import { codeVersion } from '../../src/runtime/version.ts';
import type { RecipeRuns } from '../support/recipe-runs.ts';
import type { Documents } from './figures.ts';
import { tasks } from './variants.ts';

/**
 * What the tasks find of a mean of two models, as `siglip2 average --ratios --task` finds it. At the ends it is one of them, to
 * the bit, and was evaluated already.
 *
 * @param ratio share of `to`
 */
export async function documentsBetween(
  { store, client, say, orFailed }: Pick<RecipeRuns, 'store' | 'client' | 'say' | 'orFailed'>,
  { from, to }: { readonly from: string; readonly to: string },
  { before, after }: { readonly before: Documents; readonly after: Documents },
  ratio: number,
): Promise<Documents> {
  if (ratio === 0) return before;
  if (ratio === 1) return after;
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-between-'));
  try {
    const sources = [from, to].map((name, i) => ({ name, path: join(folder, `${i}`) }));
    for (const { name, path } of sources) await pullCheckpoint(store, name, path);
    const mean = join(folder, 'mean');
    await averageFolder(sources, [1 - ratio, ratio], mean);
    const attempt = randomBytes(4).toString('hex');
    const how = { scratch: join(folder, 'scratch'), codeVersion: codeVersion(), attempt };
    const model = nameOf(await importByContent(store, mean, how));
    say(`${ratio} of ${to} and the rest of ${from} is ${model}`);
    const found: Record<string, Documents[string]> = {};
    for (const task of tasks.map((one) => parseTask(one))) {
      const { key } = await orFailed(evaluate(client, { model, task }, () => {}));
      found[task.name] = await readEvaluation(store, key);
    }
    return found;
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
