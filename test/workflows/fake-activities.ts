import { Context } from '@temporalio/activity';
import { toFailure } from '../../activities/failures.ts';
import type { Activities } from '../../activities/types/activities.ts';
import type { PhasePlan, RunPlan } from '../../activities/types/plan.ts';
import type { ShardInput, ShardResult } from '../../activities/types/shard.ts';

const hash = (character: string) => character.repeat(64);

export function planOf(run: string, steps: number, shardSteps: number): PhasePlan {
  const document = { key: `runs/${run}/data/x.json`, sha256: hash('a') };
  return {
    run,
    phase: 'pretrain',
    recipeHash: hash('b'),
    settings: document,
    index: document,
    dataFingerprint: hash('c'),
    batch: 2,
    origin: null,
    branches: [],
    from: { step: 0, examples: 0 },
    to: { step: steps, examples: 2 * steps },
    shardSteps,
    checkpointEvery: 5,
  };
}

export function runPlanOf(run: string, steps = 30, shardSteps = 10): RunPlan {
  const document = { key: `runs/${run}/data/x.json`, sha256: hash('a') };
  return {
    run,
    recipeHash: hash('b'),
    phases: [planOf(run, steps, shardSteps)],
    evaluation: { index: document, dataFingerprint: hash('c'), languages: ['en'], maxExamples: 10 },
    examples: 100,
    corrupt: 0,
    parameters: 5,
  };
}

export function resultOf({ plan, revision }: ShardInput, step: number): ShardResult {
  return {
    checkpoint: {
      run: plan.run,
      phase: plan.phase,
      revision,
      step,
      examples: 2 * step,
      prefix: `runs/${plan.run}/${plan.phase}/r${revision}/step-${step}-a/`,
      manifestSha256: hash('d'),
      sha256: hash(`${step % 10}`),
    },
    metrics: { loss: 10 / step, examplesPerSecond: 100, dataWaitShare: 0 },
    committed: '2026-01-01T00:00:00.000Z',
    attempt: '1-1-a',
  };
}

/** What a test that needs it has to bring itself. */
const unused = async (name: string): Promise<never> => {
  throw new Error(`${name} was not to be called`);
};

/** Activities that do nothing and say so; a test replaces those that matter to it. */
export function activities(changes: Partial<Activities> = {}): Activities {
  const all: Activities = {
    findShards: async () => ({ document: null, shards: 0 }),
    indexShards: async ({ from, to }) => ({ shards: to - from }),
    plan: async ({ run }) => runPlanOf(run),
    planPhase: async ({ run, phase = 'pretrain' }) => ({ ...planOf(run, 30, 10), phase }),
    beginPhase: async ({ revision }) => ({ revision, from: null, notes: [] }),
    trainShard: async (input) => resultOf(input, input.toStep),
    beginRounds: () => unused('beginRounds'),
    trainReplica: () => unused('trainReplica'),
    mergeRound: () => unused('mergeRound'),
    recoverCheckpoint: async () => null,
    replan: async ({ plan }) => plan,
    pruneCheckpoints: async () => ({ removed: 0 }),
    sweep: async () => ({ prefixes: 0, uploads: 0 }),
    evaluate: async () => ({ key: 'evaluation.json', report: { zero_shot: { top1: 0.5 } } }),
    exportModel: async ({ plan }) => {
      const prefix = `runs/${plan.run}/export/`;
      return { uri: `s3://bucket/${prefix}`, prefix, bytes: 1, sha256: hash('e') };
    },
    writeReport: async ({ run }) => {
      const key = `runs/${run}/report.html`;
      return { key, uri: `s3://bucket/${key}`, bytes: 1, sha256: hash('f') };
    },
    scoreShard: async ({ shard }) => ({ shard, bytes: 1, etag: 'e', examples: 1, corrupt: 0 }),
    sealScores: async ({ plan, teacher }) => ({
      ...plan,
      settings: { key: `runs/${plan.run}/data/sealed.json`, sha256: teacher.sha256 },
      curation: { ...plan.curation!, sealed: teacher },
    }),
    planAnnotation: async () => ({ document: { key: 'r/annotation.json', sha256: hash('f') }, shards: 0, out: 'r' }),
    planEvaluation: () => unused('planEvaluation'),
    embedPart: () => unused('embedPart'),
    planEmbeddings: () => unused('planEmbeddings'),
    sealEmbeddings: () => unused('sealEmbeddings'),
    evaluatePart: () => unused('evaluatePart'),
    drawSheet: async ({ plan }) => ({ key: `${plan.prefix}sheet.json` }),
    keepBest: () => unused('keepBest'),
    concludeEvaluation: () => unused('concludeEvaluation'),
    watchFigure: () => unused('watchFigure'),
    guardFigure: () => unused('guardFigure'),
    bestWatched: async () => null,
    leaveEvaluation: () => unused('leaveEvaluation'),
    annotateShard: () => unused('annotateShard'),
    beginPack: () => unused('beginPack'),
    listPack: () => unused('listPack'),
    hashPart: () => unused('hashPart'),
    mergePart: () => unused('mergePart'),
    settlePack: () => unused('settlePack'),
    packPart: () => unused('packPart'),
    reportPack: () => unused('reportPack'),
    planFilter: () => unused('planFilter'),
    filterStep: () => unused('filterStep'),
    embedShard: () => unused('embedShard'),
    reportFilter: () => unused('reportFilter'),
    ...changes,
  };
  // As createActivities does it: what is thrown reaches the workflow as one sentence.
  return Object.fromEntries(
    Object.entries(all).map(([name, verb]) => [
      name,
      (input: never) =>
        verb(input).catch((error: unknown) => {
          throw toFailure(error, Context.current().info.attempt);
        }),
    ]),
  ) as unknown as Activities;
}
