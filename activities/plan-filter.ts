import { toRef } from '../src/checkpoint/documents.ts';
import { pin } from '../src/checkpoint/pins.ts';
import { filterPrefix, holderOf } from '../src/filtering/keys.ts';
import { madeFilter } from '../src/filtering/made.ts';
import { type FilterModel, planFilter as look, stagesOf } from '../src/filtering/plan.ts';
import { type FilterSettings, parseFilter } from '../src/filtering/settings.ts';
import { keysOf } from '../src/filtering/step.ts';
import { heldModel } from '../src/plan/held-model.ts';
import { checkpointFor } from '../src/plan/origin.ts';
import { probeConditionalWrites } from '../src/storage/conditional-writes.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocumentBelow } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { FilterBegun } from './types/filter.ts';

/** Checks what a filter is started with, and keeps it where its weights will lie. Calling it again changes nothing. */
export async function planFilter({ store, log }: Dependencies, input: unknown, attempt: Attempt): Promise<FilterBegun> {
  const heart = beat(attempt, () => ({ doing: 'indexing the shards' }));
  try {
    const settings = parseFilter(input);
    await probeConditionalWrites(store);
    const plan = await look(store, settings, await modelOf(store, settings));
    const { name } = settings;
    const { index, filter } = plan;
    const document = await keepDocumentBelow(store, `${filterPrefix(name)}plans/`, 'plan', plan);
    const done = (await madeFilter(store, keysOf(plan))) !== null;
    log.info(
      { filter: name, content: filter, shards: index.shards.length, examples: index.examples, done },
      'filter planned',
    );
    return { document, name, filter, stages: done ? [] : stagesOf(plan) };
  } finally {
    heart.stop();
  }
}

/** Whoever was killed and never goes on does not hold it for ever. */
const heldMs = 30 * 24 * 3600 * 1000;

/** The checkpoint that a filter embeds with, held until the filter is done. */
async function modelOf(store: ObjectStore, { name, model }: FilterSettings): Promise<FilterModel | null> {
  if (!model) return null;
  const what = `filter ${name} embeds with`;
  const found = await checkpointFor(store, { what, from: model });
  const checkpoint = toRef(await pin(store, found, holderOf(name), { untilMs: heldMs }));
  const { name: said, model: config } = await heldModel(store, checkpoint);
  return { name: said, checkpoint, config };
}
