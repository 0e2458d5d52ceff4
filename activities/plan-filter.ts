import { filterKeys, filterPrefix } from '../src/filtering/keys.ts';
import { planFilter as look, stagesOf } from '../src/filtering/plan.ts';
import { parseFilter } from '../src/filtering/settings.ts';
import { probeConditionalWrites } from '../src/storage/conditional-writes.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocumentBelow } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { FilterBegun } from './types.ts';

/** Checks what a filter is started with, and keeps it where its weights will lie. Calling it again changes nothing. */
export async function planFilter({ store, log }: Dependencies, input: unknown, attempt: Attempt): Promise<FilterBegun> {
  const heart = beat(attempt, () => ({ doing: 'indexing the shards' }));
  try {
    const settings = parseFilter(input);
    await probeConditionalWrites(store);
    const plan = await look(store, settings);
    const { name } = settings;
    const { index, filter } = plan;
    const document = await keepDocumentBelow(store, `${filterPrefix(name)}plans/`, 'plan', plan);
    const done = (await store.head(filterKeys(name, filter).document)) !== null;
    log.info(
      { filter: name, content: filter, shards: index.shards.length, examples: index.examples, done },
      'filter planned',
    );
    return { document, name, filter, stages: done ? [] : stagesOf(plan) };
  } finally {
    heart.stop();
  }
}
