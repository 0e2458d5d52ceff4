import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { Used } from '../../src/costs/used.ts';
import type { FilterStep } from '../../src/filtering/plan.ts';
import type { FilterReport } from '../../src/filtering/report.ts';
import type { PackReport } from '../../src/packing/report.ts';
import type { AnnotatePlan, AnnotateShardInput, AnnotateShardResult } from './annotation.ts';
import type { EmbeddingsBegun, EmbeddingsReport } from './embeddings.ts';
import type {
  EmbedInput,
  EmbedPartResult,
  EvaluatePartInput,
  KeepBestInput,
  PlannedEvaluation,
  TaskResult,
} from './evaluation.ts';
import type { FilterBegun, FilterStepInput } from './filter.ts';
import type { FindShardsInput, IndexShardsInput, UnindexedShards } from './indexing.ts';
import type {
  HashPartInput,
  HashPartResult,
  MergePartInput,
  MergePartResult,
  PackBegun,
  PackInput,
  PackListed,
  PackPartInput,
  PackPartResult,
  SettledPack,
  SettlePackInput,
} from './pack.ts';
import type {
  BestInput,
  EvaluateInput,
  EvaluationResult,
  ExportInput,
  ExportResult,
  Guarded,
  GuardInput,
  HistoryInput,
  Watched,
  WatchInput,
  WrittenReport,
} from './phase-end.ts';
import type { PhasePlan, PlanInput, PlanPhaseInput, RunPlan } from './plan.ts';
import type { BeginRoundsInput, BegunRounds, MergeInput, ReplicaInput, ReplicaResult, RoundResult } from './rounds.ts';
import type { ScoreShardInput, ScoreShardResult, SealInput } from './scoring.ts';
import type {
  BeginInput,
  Begun,
  PruneInput,
  RecoverInput,
  ReplanInput,
  Replanned,
  ShardInput,
  ShardResult,
  SweepInput,
} from './shard.ts';

/**
 * Every activity by name; the workflows see no more of them than this. What crosses the wire is small JSON, references and
 * never tensors.
 */
export interface Activities {
  findShards(input: FindShardsInput): Promise<UnindexedShards>;
  indexShards(input: IndexShardsInput): Promise<{ shards: number }>;
  plan(input: PlanInput): Promise<RunPlan>;
  planPhase(input: PlanPhaseInput): Promise<PhasePlan>;
  beginPhase(input: BeginInput): Promise<Begun>;
  trainShard(input: ShardInput): Promise<ShardResult>;
  beginRounds(input: BeginRoundsInput): Promise<BegunRounds>;
  trainReplica(input: ReplicaInput): Promise<ReplicaResult>;
  mergeRound(input: MergeInput): Promise<RoundResult>;
  recoverCheckpoint(input: RecoverInput): Promise<CheckpointRef | null>;
  pruneCheckpoints(input: PruneInput): Promise<{ removed: number }>;
  sweep(input: SweepInput): Promise<{ prefixes: number; uploads: number }>;
  replan(input: ReplanInput): Promise<Replanned>;
  scoreShard(input: ScoreShardInput): Promise<ScoreShardResult>;
  sealScores(input: SealInput): Promise<PhasePlan>;
  evaluate(input: EvaluateInput): Promise<EvaluationResult>;
  planEvaluation(input: unknown): Promise<PlannedEvaluation>;
  embedPart(input: EmbedInput): Promise<EmbedPartResult>;
  evaluatePart(input: EvaluatePartInput): Promise<{ readonly key: string; readonly used?: Used }>;
  drawSheet(input: { readonly plan: PlannedEvaluation }): Promise<{ readonly key: string; readonly used?: Used }>;
  keepBest(input: KeepBestInput): Promise<{ readonly step: number; readonly value: number }>;
  concludeEvaluation(input: { readonly plan: PlannedEvaluation }): Promise<TaskResult>;
  leaveEvaluation(input: { readonly plan: PlannedEvaluation }): Promise<void>;
  watchFigure(input: WatchInput): Promise<Watched>;
  guardFigure(input: GuardInput): Promise<Guarded>;
  bestWatched(input: BestInput): Promise<ShardResult | null>;
  exportModel(input: ExportInput): Promise<ExportResult>;
  writeReport(input: HistoryInput): Promise<WrittenReport>;
  planAnnotation(input: unknown): Promise<AnnotatePlan>;
  annotateShard(input: AnnotateShardInput): Promise<AnnotateShardResult>;
  beginPack(input: unknown): Promise<PackBegun>;
  listPack(input: PackInput): Promise<PackListed>;
  hashPart(input: HashPartInput): Promise<HashPartResult>;
  mergePart(input: MergePartInput): Promise<MergePartResult>;
  settlePack(input: SettlePackInput): Promise<SettledPack>;
  packPart(input: PackPartInput): Promise<PackPartResult>;
  reportPack(input: SettlePackInput): Promise<PackReport>;
  planFilter(input: unknown): Promise<FilterBegun>;
  filterStep(input: FilterStepInput<Exclude<FilterStep, 'embed'>>): Promise<{ readonly step: FilterStep }>;
  embedShard(input: FilterStepInput<'embed'>): Promise<{ readonly step: 'embed' }>;
  planEmbeddings(input: unknown): Promise<EmbeddingsBegun>;
  sealEmbeddings(input: Pick<EmbeddingsBegun, 'document'>): Promise<EmbeddingsReport>;
  reportFilter(input: Omit<FilterBegun, 'stages'>): Promise<FilterReport>;
}
