import { readFileSync, writeFileSync } from 'node:fs';
import { makeEmojiDataset } from '../../infra/emoji/make.ts';
import { makeNoisyEmojiDatasets } from '../../infra/emoji/noisy.ts';
import { metricsPrefix } from '../../src/checkpoint/keys.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { joinFilter } from '../../src/data/index/join-filter.ts';
import { decodeWeights } from '../../src/data/index/weight-file.ts';
import type { EvaluationReport } from '../../src/evaluate/report.ts';
import { type FilterReport, formatFilter } from '../../src/filtering/report.ts';
import { endProcess } from '../../src/runtime/end-process.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { RecipeResult } from '../../workflows/results.ts';
import { withRecipeRuns } from '../support/recipe-runs.ts';
import { type CurationOptions, curationProgram } from './arguments.ts';
import { margin, type Outcome, table } from './outcome.ts';

/**
 * `npm run curation`: does active curation pay? On emoji with planted noise a small student is trained on the data as they
 * come and, on as many examples, under active curation; held-out zero-shot of each, for several seeds, and the share of
 * noise among what was chosen. The teacher is trained once.
 */
interface Written {
  seed: number;
  data: object;
  phases: { name: string; curation?: { teacher: unknown } }[];
}

async function main({ seeds, noise, recipe, filter, json }: CurationOptions): Promise<void> {
  await withRecipeRuns('curation', async ({ store, client, say, orFailed, run }) => {
    await makeEmojiDataset(store, { log: say });
    await makeNoisyEmojiDatasets(store, { log: say, noise });
    const written: Written = JSON.parse(readFileSync(recipe, 'utf8'));
    const only = (names: readonly string[], change: Partial<Written> = {}) => {
      const phases = written.phases.filter(({ name }) => names.includes(name));
      const taught = phases.map((phase) =>
        phase.curation
          ? { ...phase, curation: { ...phase.curation, teacher: { run: 'teacher', phase: 'curated' } } }
          : phase,
      );
      return { ...written, ...change, phases: taught };
    };
    const top1 = (result: RecipeResult, name: string) =>
      (result.phases.find(({ phase }) => phase === name)!.evaluation!.report as unknown as EvaluationReport).zero_shot
        .top1;
    const taught = await run('teacher', only(['teacher', 'curated']));
    const teachers = { teacher: top1(taught, 'teacher'), curated: top1(taught, 'curated') };
    const students = written.phases.map(({ name }) => name).filter((name) => !(name in teachers));
    if (filter !== undefined) {
      const input = { name: 'noisy', data: 'data/emoji-noisy/train', ...JSON.parse(filter) };
      const of = { taskQueue: 'siglip2', workflowId: 'filter-noisy', args: [input] };
      const handle = await client.workflow.start('siglip2Filter', of);
      const report = (await orFailed(handle.result())) as FilterReport;
      say(`${formatFilter(report)}\nleft of each kind of noise: ${await leftOf(store)}\n`);
      written.data = { ...written.data, filter: 'noisy' };
    }
    const outcomes: Outcome[] = [];
    for (let seed = 1; seed <= seeds; seed++) {
      const name = `seed-${seed}`;
      const result = await run(name, only(students, { seed }));
      for (const phase of students)
        outcomes.push({ seed, phase, top1: top1(result, phase), noise: await noiseOf(store, name, phase) });
      say(`${table(teachers, outcomes)}\n`);
    }
    process.stdout.write(`\n${table(teachers, outcomes)}\n`);
    for (const better of students.slice(1))
      process.stdout.write(
        `worst of ${better} less best of ${students[0]}: ${(100 * margin(outcomes, better, students[0]!)).toFixed(2)} points\n`,
      );
    if (json) writeFileSync(json, `${JSON.stringify({ recipe: written, noise, teachers, outcomes }, null, 2)}\n`);
  });
}

/** How many examples of each kind of noise a filter has left, of how many. */
async function leftOf(store: ObjectStore): Promise<string> {
  const index = await joinFilter(store, await indexData(store, 'data/emoji-noisy/train'), 'noisy');
  const counts: Record<string, { left: number; all: number }> = {};
  // Of the copies that are left, by their bytes: is what they copy left too?
  const pictures = new Map<string, string[]>();
  for (const [number, shard] of index.shards.entries()) {
    const file = index.weights![number]!;
    const { weights } = decodeWeights(await store.get(file.key), file.key);
    const entries = await index.entriesOf(number);
    const tar = await store.get(shard.key);
    for (let i = 0; i < entries.length; i++) {
      const { image, meta } = entries.at(i);
      const { offset, size } = meta;
      const { source = 'clean' } = JSON.parse(tar.toString('utf8', offset, offset + size)) as { source?: string };
      const { left, all } = counts[source] ?? { left: 0, all: 0 };
      counts[source] = { left: left + weights[i]!, all: all + 1 };
      if (weights[i] === 0) continue;
      const bytes = sha256(tar.subarray(image.offset, image.offset + image.size));
      pictures.set(bytes, [...(pictures.get(bytes) ?? []), source]);
    }
  }
  const beside = [...pictures.values()].filter((own) => own.length > 1 && own.includes('noise-duplicate')).length;
  const said = Object.entries(counts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([source, { left, all }]) => `${source} ${left.toFixed(0)} of ${all}`)
    .join(', ');
  return `${said}; copies beside what they copy: ${beside}`;
}

/** Mean shares of each kind of planted noise among the candidates and the chosen, over all figures of the phase. */
async function noiseOf(store: ObjectStore, run: string, phase: string): Promise<Outcome['noise']> {
  const sums: Record<string, { candidates: number; chosen: number }> = {};
  let records = 0;
  for await (const { key } of store.list(metricsPrefix({ run, phase }))) {
    if (!key.endsWith('.jsonl')) continue;
    for (const line of (await store.get(key)).toString('utf8').trim().split('\n')) {
      records++;
      for (const [name, value] of Object.entries(JSON.parse(line) as Record<string, number>)) {
        const [, kind, of] = /^source\/noise-(\w+)\/(candidates|chosen)$/.exec(name) ?? [];
        if (kind === undefined) continue;
        const sum = sums[kind] ?? { candidates: 0, chosen: 0 };
        sums[kind] = { ...sum, [of!]: sum[of as keyof typeof sum] + value };
      }
    }
  }
  const means = Object.entries(sums).map(([kind, { candidates, chosen }]) => [
    kind,
    { candidates: candidates / records, chosen: chosen / records },
  ]);
  return Object.fromEntries(means);
}

const program = curationProgram();
const options = program.parse().opts<CurationOptions>();
if (!Number.isInteger(options.seeds) || options.seeds < 1) program.error('--seeds is a whole number from 1');
if (!(options.noise > 0 && options.noise < 1)) program.error('--noise is a share between 0 and 1');
try {
  await main(options);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
await endProcess();
