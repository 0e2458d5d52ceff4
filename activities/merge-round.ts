import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pMap from 'p-map';
import { commitCheckpoint } from '../src/checkpoint/commit.ts';
import { readCommit } from '../src/checkpoint/commits.ts';
import { repairHint } from '../src/checkpoint/hint.ts';
import { checkpointSidecars } from '../src/checkpoint/hugging-face/config.ts';
import { checkpointSha256 } from '../src/checkpoint/identity.ts';
import { commitKey } from '../src/checkpoint/keys.ts';
import { keepMetrics } from '../src/checkpoint/metrics-document.ts';
import { removeRounds } from '../src/checkpoint/rounds.ts';
import type { CheckpointMetrics, Commit } from '../src/checkpoint/types.ts';
import { SkippedMembers } from '../src/data/index/skipped-members.ts';
import { isPace } from '../src/recipe/lane-lengths.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { PhaseSteps } from '../src/recipe/steps.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { holdWhatIsDue } from './evaluation-due.ts';
import { beat } from './heartbeat.ts';
import { mergedFiles } from './merge-files.ts';
import { replicaFiles } from './replica-files.ts';
import { replicasOf } from './replicas-of.ts';
import { type FoundSlot, memberOf } from './round-documents.ts';
import { figuresOfRound, keepFiguresOfRound } from './round-figures.ts';
import { pacesAfter, resultOfRound } from './round-result.ts';
import { fetchRoundState, keepRoundState } from './round-state.ts';
import { inputHash } from './shard-start.ts';
import type { MergeInput, RoundResult } from './types/rounds.ts';

/**
 * Merges what the members of a round handed in, and commits what comes of it: the checkpoint of the step that the round
 * ends with. Given the members its bytes are the same, whoever merges and however often. Where the checkpoint is there
 * already, it counts.
 */
export async function mergeRound(deps: Dependencies, input: MergeInput, attempt: Attempt): Promise<RoundResult> {
  const { plan, revision, round } = input;
  let doing = 'looking for what was merged already';
  const heart = beat(attempt, () => ({ doing, to: round.to }));
  const folder = join(deps.scratch, plan.run, plan.phase, attempt.id);
  try {
    const at = { run: plan.run, phase: plan.phase, revision, step: round.to };
    const made = (await deps.store.head(commitKey(at))) ? await readCommit(deps.store, at) : null;
    if (made) {
      if (made.inputHash !== inputHash(input, made.step)) throw otherInputs(plan.run, plan.phase, made.step);
      return await finished(deps, input, made);
    }
    doing = 'merging';
    return await finished(deps, input, await merge(deps, input, attempt, folder, (what) => (doing = what)));
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

async function merge(
  deps: Dependencies,
  input: MergeInput,
  attempt: Attempt,
  folder: string,
  say: (doing: string) => void,
): Promise<Commit> {
  const { plan, round, revision } = input;
  const { store } = deps;
  if (input.members.length === 0)
    throw new RunnerError('RecipeInvalid', `the round from step ${round.from.step} has no member to merge`);
  const settings = await readDocumentAs<PhaseSettings>(store, plan.settings, join(deps.scratch, 'documents'));
  const replicas = replicasOf(settings);
  const members = await pMap(
    input.members,
    async (ref): Promise<FoundSlot> => ({ ref, document: await memberOf(store, input, ref) }),
    { concurrency: 10 },
  );
  // Whatever came first.
  members.sort((a, b) => a.document.slot - b.document.slot);
  await mkdir(folder, { recursive: true });
  say(`fetching the checkpoint of step ${round.from.step}`);
  const {
    manifest,
    state: before,
    folder: beforeFolder,
  } = await fetchRoundState(deps, round.from, attempt.signal, {
    outer: true,
    settings,
  });
  try {
    const files = await mergedFiles(deps, input, {
      settings,
      replicas,
      members,
      before,
      beforeFolder,
      folder,
      attempt,
      say,
    });
    say('committing');
    const [lowest] = members;
    const { begins = plan.from } = plan;
    const steps = new PhaseSteps(settings.batches);
    const { cpu, precision, xla } = lowest!.document;
    const { resize } = settings.batches.data;
    const skipped = new SkippedMembers(manifest.skipped);
    for (const { document } of members) skipped.add(document.skipped);
    const metrics = metricsOf(members);
    const figures = figuresOfRound(members, input, metrics.loss);
    // Before the commit, as those of steps: for people alone, so that nothing fails over them but an absent store.
    await keepFiguresOfRound(store, { run: plan.run, phase: plan.phase, revision, step: round.to }, figures).catch(
      (error) => {
        if (isRunnerError(error, 'StorageUnavailable')) throw error;
        deps.log.info({ run: plan.run, phase: plan.phase }, `figures were not written: ${error.message}`);
      },
    );
    const { commit } = await commitCheckpoint(
      store,
      {
        ...{ run: plan.run, phase: plan.phase, revision, step: round.to },
        examples: begins.examples + steps.seenBefore(round.to - begins.step),
        ...{ folder, state: files.state, metrics: { ...metrics, figures: { ...metrics.figures, ...figures } } },
        ...{ recipeHash: plan.recipeHash, dataFingerprint: plan.dataFingerprint, settingsSha256: plan.settings.sha256 },
        parent: round.from,
        codeVersion: deps.codeVersion,
        skipped: skipped.list,
        ...filteredOf(members, manifest.filtered),
        ...(cpu && { cpu }),
        ...(precision && { precision }),
        ...(xla && { xla }),
        round: {
          from: round.from.step,
          slots: round.slots,
          members: members.map(({ document: { slot, examples, steps, files, attempt, metrics } }) => {
            const { sha256 } = files.find(({ path }) => path === replicaFiles.changes)!;
            const pace = metrics.examplesPerSecond;
            const dealsBy = replicas.lanes === 'paced' && isPace(pace);
            return { slot, examples, steps, sha256, attempt, ...(dealsBy && { pace }) };
          }),
          ...(input.lengths && { lengths: [...input.lengths] }),
          late: [...input.late],
          merged: files.merged,
        },
        ...(resize && { resize }),
        attempt: attempt.id,
        sidecars: checkpointSidecars(settings.model),
        inputHash: inputHash(input, round.to),
      },
      { signal: attempt.signal, ...(deps.onPoint && { onPoint: deps.onPoint }) },
    );
    // What another attempt committed may differ, and with the end of the phase its rounds end.
    if (commit.sha256 === checkpointSha256(files.state) && round.to < plan.to.step)
      await keepRoundState(deps, commit, folder).catch((error) =>
        deps.log.info({ run: plan.run, phase: plan.phase }, `what was merged is not kept here: ${error.message}`),
      );
    const { loss, examplesPerSecond } = metrics;
    attempt.gauge?.(plan, { step: round.to, loss, examplesPerSecond, ...figures });
    return commit;
  } finally {
    await before.close();
  }
}

async function finished(deps: Dependencies, input: MergeInput, commit: Commit): Promise<RoundResult> {
  const { plan, round, revision } = input;
  const warn = (error: Error) => deps.log.warn({ run: plan.run, phase: plan.phase }, error.message);
  const { from } = round;
  await repairHint(deps.store, plan).catch(warn);
  await holdWhatIsDue(deps.store, { plan, revision, parent: input.parent, from, toStep: round.to }, commit);
  await keepMetrics(deps.store, commit).catch(warn);
  // Of this round who was late may still ask, and moments that a slot keeps are read in the next.
  await removeRounds(deps.store, { run: plan.run, phase: plan.phase, revision, step: from.step }).catch(warn);
  return { ...(await resultOfRound(deps, plan, commit)), ...(await pacesAfter(deps, plan, commit)) };
}

/** Means by examples; of one replica what it says. Rates are added: replicas train at once. */
function metricsOf(members: readonly FoundSlot[]): CheckpointMetrics {
  const [{ document: lowest }] = members as [FoundSlot];
  if (members.length === 1) return lowest.metrics;
  const total = members.reduce((sum, { document }) => sum + document.examples, 0);
  const mean = (of: (metrics: CheckpointMetrics) => number) =>
    members.reduce((sum, { document: { metrics, examples } }) => sum + (of(metrics) * examples) / total, 0);
  const means = (of: (metrics: CheckpointMetrics) => Readonly<Record<string, number>> | undefined) => {
    const names = Object.keys(of(lowest.metrics) ?? {});
    const everywhere = names.filter((name) =>
      members.every(({ document: { metrics } }) => of(metrics)?.[name] !== undefined),
    );
    return Object.fromEntries(everywhere.map((name) => [name, mean((metrics) => of(metrics)![name]!)]));
  };
  const { since } = lowest.metrics;
  return {
    loss: mean(({ loss }) => loss),
    objectives: means(({ objectives }) => objectives),
    figures: means(({ figures }) => figures),
    ...(since && { since }),
    examplesPerSecond: members.reduce((sum, { document }) => sum + document.metrics.examplesPerSecond, 0),
    dataWaitShare: mean(({ dataWaitShare }) => dataWaitShare),
  };
}

/** Each replica counts on from what was before. */
function filteredOf(members: readonly FoundSlot[], before = 0): { readonly filtered?: number } {
  const counted = members.filter(({ document }) => document.filtered !== undefined);
  if (counted.length === 0) return {};
  return { filtered: counted.reduce((sum, { document }) => sum + document.filtered! - before, before) };
}

const otherInputs = (run: string, phase: string, step: number) =>
  new RunnerError(
    'TwoRunsUnderOneName',
    `${run}/${phase}@${step} was made from other data or settings than this run has now; start the run under another --workflow-id`,
  );
