import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Values } from '../../src/compile/definition.ts';
import { BatchMaker } from '../../src/data/batches/batch-maker.ts';
import { collectTokenIds } from '../../src/data/example/token-ids.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { ShardCache } from '../../src/data/index/shard-cache.ts';
import type { DataIndex } from '../../src/data/index/types.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { placesOf } from '../../src/recipe/places.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import { Curator } from '../../src/train/curate.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { inRows } from '../data/batches/whole.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';

/** What steps reported, a number a step. */
export type Series = Readonly<Record<string, readonly number[]>>;

const steps = 60;
/** They come again and again: making them takes longer than training on them. */
const batches = 10;

const graph = JSON.parse(readFileSync(new URL('../../infra/recipes/graph.json', import.meta.url), 'utf8'));
// As the losses were recorded.
graph.data.resize = 'big_vision';
const named = (name: string) => graph.phases.find((phase: { name: string }) => phase.name === name);

/** A kind of phase: what a recipe says of it, and the kinds whose last state it begins with, and is taught by. */
interface Kind {
  readonly says: object;
  readonly from?: string;
  readonly teacher?: string;
}

/**
 * The sigmoid loss alone, the phases of the tiny graph, and one that chooses its examples. Resolution is without
 * self-distillation, and NaFlex with two of its lengths: what compiles is most of the time.
 */
const kinds: Readonly<Record<string, Kind>> = {
  sigmoid: { says: { objectives: { sigmoid: 1 } } },
  captioning: { says: { objectives: named('pretrain').objectives } },
  distillation: { says: { objectives: named('distill').objectives }, from: 'captioning' },
  resolution: {
    says: { objectives: named('pretrain').objectives, vision: named('res-48').vision },
    from: 'distillation',
  },
  naflex: {
    says: { objectives: named('naflex').objectives, vision: { naflex: { lengths: [9, 16], halveFrom: 16 } } },
    from: 'captioning',
  },
  curation: { says: { objectives: { sigmoid: 1 } }, teacher: 'captioning' },
};
export const kindNames = Object.keys(kinds);

/** The real pictures, scenes and texts of emoji, few of them. */
export class GoldenData {
  readonly #store = new MemoryStore();
  readonly #folder: string;
  #index!: DataIndex;
  #vocabulary!: number[];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(folder: string): Promise<GoldenData> {
    const data = new GoldenData(folder);
    await drawnEmoji(data.#store, { concepts: 32, scenes: 64 });
    data.#index = await indexData(data.#store, placesOf(parseRecipe(graph).data.train));
    data.#vocabulary = await collectTokenIds(data.#store, data.#index, ['en'], { captioning: true });
    return data;
  }

  /** Steps of one kind of phase, after those kinds that it goes on from. What every step reports of its losses, and its gradient norm. */
  async train(name: string): Promise<Series> {
    const { from, teacher } = kinds[name]!;
    const settings = await this.#settings(name);
    const maker = new BatchMaker(this.#index, settings.batches, new ShardCache(this.#store, this.#folder));
    const made = [];
    for (let i = 0; i < batches; i++) made.push(await maker.make(i));
    const trainer = createTrainer(settings);
    const curator = await Curator.open(settings, trainer.program, teacher && join(this.#folder, teacher));
    trainer.program.write(from ? await readState(join(this.#folder, from), settings) : freshState(settings));
    const series: Record<string, number[]> = {};
    for (let step = 1; step <= steps; step++) {
      const batch = made[step % batches]!;
      const rows = await inRows(batch, batch.tokens.length / settings.batches.textLength);
      const choice = curator && (await curator.select(await curator.embed(step, rows), rows));
      const chosen = choice ? (await curator.take(choice, rows)).batch : rows;
      const { gradientNorm, objectives } = await trainer.stepOn(step, chosen);
      const losses = Object.entries(objectives).filter(([key]) => key.startsWith('loss/'));
      for (const [key, value] of [...losses, ['gradientNorm', gradientNorm] as const])
        series[key] = [...(series[key] ?? []), value];
    }
    if (Object.values(kinds).some((kind) => kind.from === name || kind.teacher === name))
      await this.#keep(name, settings, trainer.program.read(trainer.stateNames));
    await curator?.close();
    trainer.program.dispose();
    return series;
  }

  async #settings(name: string): Promise<PhaseSettings> {
    const { says, teacher } = kinds[name]!;
    const curation = teacher && { curation: { teacher: 'teacher', scoring: 'online', chunks: 4 } };
    const recipe = parseRecipe({
      ...graph,
      // So long that 60 steps are its beginning, of every kind.
      schedule: { total: { steps: 10_000 }, warmup: { steps: 6 } },
      phases: [
        { name: 'teacher', batch: 32, objectives: { sigmoid: 1 } },
        { name, batch: 32, ...says, ...curation },
      ],
    });
    const facts = { examples: this.#index.examples, vocabulary: this.#vocabulary };
    const settings = phaseSettings(recipe, recipe.phases[1]!, facts);
    if (!settings.curation || !teacher) return settings;
    const { logit_scale, logit_bias } = await readState(join(this.#folder, teacher), settings);
    const scores = { sha256: 'a'.repeat(64), logitScale: logit_scale![0]!, logitBias: logit_bias![0]! };
    return { ...settings, curation: { ...settings.curation, teacher: { ...scores, model: settings.model } } };
  }

  async #keep(name: string, settings: PhaseSettings, state: Values): Promise<void> {
    const folder = join(this.#folder, name);
    await mkdir(folder, { recursive: true });
    await writeState(folder, settings, state);
  }
}
