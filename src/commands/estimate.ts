import { tokenTable } from '../model/parameters.ts';
import { epochOf } from '../recipe/durations.ts';
import { mostOfShard, plannedPace } from '../recipe/pace.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { Recipe } from '../recipe/schema.ts';
import { type DataFacts, phaseSettings, writtenModel } from '../recipe/settings.ts';
import { cuts } from '../recipe/shards.ts';
import { phaseSpans } from '../recipe/spans.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { trainedSettings } from '../recipe/trained-settings.ts';
import { checkpointBytes } from '../train/checkpoint-bytes.ts';
import { type LossChunks, lossChunks } from '../train/chunks.ts';
import { type MemoryPlan, memoryPlan } from '../train/memory-plan.ts';
import { phaseState } from '../train/phase-state.ts';
import { phaseFlops } from '../train/workload.ts';
import { type CurationEstimate, curationEstimate } from './curation-estimate.ts';
import type { Speed } from './speed.ts';

/** What a phase that trains a part does not need, against one that trains all. */
export interface Spared {
  readonly gpuBytes: number;
  readonly processBytes: number;
  /** Of the operations of an example, a share from 0 to 1. */
  readonly flops: number;
}

/** What a recipe will take, as far as it can be known before a step is made. */
export interface Estimate {
  readonly phases: readonly PhaseEstimate[];
}

export interface PhaseEstimate {
  readonly name: string;
  /** The towers, and what the objectives add. */
  readonly parameters: number;
  /** Of these what is trained, and where that is not all, what the rest would take beside it. */
  readonly trained: number;
  readonly spared: Spared | null;
  /** Tokens of the table that are trained. */
  readonly tokens: number;
  readonly bytesPerCheckpoint: number;
  /** Of what all checkpoints have in common, beside them: the model that adapters are of. */
  readonly sharedBytes: number;
  readonly steps: number;
  readonly examples: number;
  readonly epochs: number | null;
  /** Null where they are found out at the start of the phase. */
  readonly shards: number | null;
  readonly checkpoints: number | null;
  /** In the bucket: while it trains at most, and what stays when it has ended. */
  readonly mostBytes: number;
  readonly keptBytes: number;
  /** Of a GPU at the peak of a step, of the trainer's process beside it, and of the process where the CPU trains. */
  readonly gpuBytes: number;
  readonly hostBytes: number;
  readonly processBytes: number;
  /** What these are made of. */
  readonly memory: MemoryPlan;
  /** How the losses of the largest batch are cut, so that they fit. */
  readonly chunks: readonly LossChunks[];
  /** Floating-point operations of the whole phase. */
  readonly flops: number;
  /** At the speed that was asked for; null without one. */
  readonly seconds: number | null;
  /** Of a phase of active curation, what comes on top. */
  readonly curation: CurationEstimate | null;
}

const size = ({ shape }: { readonly shape: readonly number[] }) => shape.reduce((a, b) => a * b, 1);
const total = (of: readonly { readonly shape: readonly number[] }[]) => of.reduce((sum, one) => sum + size(one), 0);

/**
 * @param recipe with the models of the checkpoints that its phases go on from; a phase of which the model is not known is
 * left out
 * @param facts null while the data is not known; then a compact table counts as full, and epochs are unknown
 */
export function estimate(recipe: Recipe, facts: DataFacts | null, speed: Speed | null = null): Estimate {
  const spans = phaseSpans(recipe, facts ?? {});
  const { checkpointEvery: every, shardSteps: shard } = plannedPace(recipe);
  const { keep } = recipe.checkpoint;
  return {
    phases: recipe.phases.flatMap((phase, i): PhaseEstimate[] => {
      if (!writtenModel(recipe, phase)) return [];
      const settings = trainedSettings(phaseSettings(recipe, phase, facts ?? { examples: 0, vocabulary: null }));
      const { parameters, frozen, pieces } = phaseState(settings);
      const memory = memoryPlan(settings, facts ? facts.examples : undefined);
      const { gpuBytes, hostBytes, processBytes } = memory;
      const largest = Math.max(...new PhaseSteps(settings.batches).shapes().map(({ count }) => count));
      const [rows] = pieces[tokenTable]!.shape as [number, number];
      const { each: bytesPerCheckpoint, shared } = checkpointBytes(settings, phase.replicas?.moments === 'reset');
      const { from, to, branches } = spans[i]!;
      const cutBy = (size: number) => cuts(from.step, to.step, size, branches);
      const shards = shard === 'auto' ? null : cutBy(shard);
      const made = every === 'auto' || shards === null ? null : new Set([...cutBy(every), ...shards]);
      const checkpoints = made?.size ?? null;
      // Pruned at the end of each shard.
      const ofShard = every === 'auto' || shard === 'auto' ? mostOfShard : Math.ceil(shard / every);
      const kept = new Set([...branches, to.step]).size + Math.max(0, keep - 1);
      const most = Math.min(kept + ofShard, checkpoints ?? Number.POSITIVE_INFINITY);
      const examples = to.examples - from.examples;
      const curation = curationEstimate(recipe, phase, facts, examples);
      const flops = phaseFlops(settings, examples, facts?.examples);
      const all = flops + (curation?.choosingFlops ?? 0) + (curation?.scoringFlops ?? 0);
      const estimated: PhaseEstimate = {
        name: phase.name,
        parameters: total(parameters),
        trained: total(parameters.filter(({ name }) => !frozen.has(name))),
        spared: frozen.size === 0 ? null : spared(settings, memory, facts?.examples, examples),
        tokens: rows,
        bytesPerCheckpoint,
        sharedBytes: shared,
        steps: to.step - from.step,
        examples,
        epochs: facts ? examples / (epochOf(facts, phase) ?? facts.examples) : null,
        shards: shards?.length ?? null,
        checkpoints,
        mostBytes: most * bytesPerCheckpoint + shared,
        keptBytes: Math.min(kept, most) * bytesPerCheckpoint + shared,
        gpuBytes,
        hostBytes,
        processBytes,
        memory,
        chunks: lossChunks(settings, largest),
        flops,
        seconds: speed && all / speed.flops,
        curation,
      };
      return [estimated];
    }),
  };
}

/** The same phase with nothing frozen, less what it takes. */
function spared(settings: PhaseSettings, memory: MemoryPlan, data: number | undefined, examples: number): Spared {
  const { train: _, freeze: __, lora: ___, frozenFeatures: ____, ...all } = settings;
  const kept = Object.entries(settings.optimizer.multipliers).filter(([, rate]) => rate > 0);
  const whole = { ...all, optimizer: { ...all.optimizer, multipliers: Object.fromEntries(kept) } };
  const { gpuBytes, processBytes } = memoryPlan(whole, data);
  return {
    gpuBytes: gpuBytes - memory.gpuBytes,
    processBytes: processBytes - memory.processBytes,
    flops: 1 - phaseFlops(settings, examples, data) / phaseFlops(whole, examples, data),
  };
}
