import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inlineShard, openIndex } from '../src/data/index/open-index.ts';
import type { EmbeddedShard } from '../src/filtering/agreement.ts';
import { keptEmbeddings } from '../src/filtering/embed.ts';
import type { FilterPlan } from '../src/filtering/plan.ts';
import { keysOf, shardOf } from '../src/filtering/step.ts';
import { SafetensorsFile } from '../src/safetensors/safetensors.ts';
import type { ScoredFile } from '../src/scoring/job.ts';
import { putFirst } from '../src/storage/put-kept.ts';
import { askTrainer } from './ask-trainer.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { settleCpuAt } from './settle-cpu.ts';
import { withTeacher } from './teacher-folder.ts';
import { requireTrainer } from './train-from.ts';
import type { FilterStepInput } from './types/filter.ts';

/**
 * Has the model of a filter embed every example of a data shard, and keeps what the filter goes on with. Its keys are named by
 * the input, and what is there is not made again; when it is cancelled it leaves nothing.
 */
export async function embedShard(
  deps: Dependencies,
  { begun, part }: FilterStepInput<'embed'>,
  attempt: Attempt,
): Promise<{ readonly step: 'embed' }> {
  const { store, scratch } = deps;
  let doing = 'looking for stored embeddings';
  const tell = (text: string) => {
    doing = text;
  };
  const heart = beat(attempt, () => ({ doing }));
  const folder = join(scratch, `filter-${attempt.id}`);
  try {
    const plan = await readDocumentAs<FilterPlan>(store, begun.document, join(scratch, 'documents'));
    const keys = keysOf(plan);
    shardOf({ plan, part });
    const marks = [keys.cosines(part), ...(plan.settings.embeddingDuplicates ? [keys.sample(part)] : [])];
    const there = await Promise.all(marks.map((key) => store.head(key)));
    if (there.every(Boolean)) return { step: 'embed' };
    const { checkpoint, config, name } = plan.model!;
    const { read } = plan.index;
    const shard = await inlineShard(openIndex(plan.index, store), part);
    await mkdir(folder, { recursive: true });
    const out = join(folder, 'embeddings.safetensors');
    doing = `fetching the model ${name}`;
    await withTeacher(deps, checkpoint, attempt.signal, async (local) => {
      const cpu = await settleCpuAt(store, keys.cpu, requireTrainer(deps), deps.cpu);
      const job = {
        kind: 'score',
        folder: local,
        out,
        vocabulary: null,
        dtype: 'f32',
        teacher: { name, sha256: checkpoint.sha256 },
        model: config,
        shard,
        languages: plan.settings.agreement?.languages ?? [],
        resize: plan.settings.resize,
        ...(read && { read }),
        ...(cpu && { threads: cpu.threads }),
      } as const;
      const of = { filter: begun.name };
      return askTrainer<ScoredFile>(deps, attempt, job, { of, what: 'the shard was embedded', tell });
    });
    doing = 'keeping the embeddings';
    const { cosines, rows, sample } = keptEmbeddings(plan, part, await embedded(out, plan, shard.examples.length));
    await putFirst(store, keys.cosines(part), cosines);
    if (rows) await putFirst(store, keys.rows(part), rows);
    // It says that the rows are there.
    if (sample) await putFirst(store, keys.sample(part), sample);
    return { step: 'embed' };
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** The embeddings as the trainer wrote them. */
async function embedded(file: string, { settings, model }: FilterPlan, examples: number): Promise<EmbeddedShard> {
  const opened = await SafetensorsFile.open(file);
  try {
    const images = await opened.readFloats('images');
    const texts: Float32Array[] = [];
    for (const language of settings.agreement?.languages ?? [])
      texts.push(await opened.readFloats(`texts.${language}`));
    const corrupt = JSON.parse(opened.metadata.corrupt!) as number[];
    return { examples, width: model!.width, images, texts, corrupt };
  } finally {
    await opened.close();
  }
}
