import { RunnerError } from '../runtime/errors.ts';

/**
 * Where things lie in the bucket. Every name that comes into a key passes here, so that none can leave its prefix:
 *
 *     runs/<run>/run.json, history.json, report.html
 *     runs/<run>/<phase>/latest.json
 *     runs/<run>/<phase>/end.json, best.json, early-stopping.json, history.json
 *     runs/<run>/<phase>/evaluation-<hash>.json, sheet-<hash>.json
 *     runs/<run>/<phase>/work/<attempt>.json
 *     runs/<run>/<phase>/pace-<settings>.json, xla-<settings>.json, precision-<settings>.json, cpu.json
 *     runs/<run>/<phase>/r<revision>/commits/step-00000400.json
 *     runs/<run>/<phase>/r<revision>/step-00000400-<attempt>/manifest.json, model.safetensors, ...
 *     runs/<run>/<phase>/r<revision>/rounds/step-00000400/slot-0003.json, <attempt>/changes.safetensors, ...
 *     runs/<run>/<phase>/r<revision>/doomed/step-00000400-<attempt>/<deletion>.json
 *     runs/<run>/<phase>/pins/r<revision>-step-00000400/<who>.json
 *     runs/<run>/<phase>/scores/<scoring>/00000007.safetensors
 *     evaluations/<run>/<phase>-<step>/<task>-<id>/task-<hash>.json, figures/<evaluator>-<view>.json, result.json
 *     logs/<run>/<phase>/<time>-<worker>-<number>.jsonl, without <phase> for what is of the run itself
 *
 * What has no name in its key: features that evaluations share, `features/<model>/<hash>/<part>.safetensors`
 * (src/evaluate/features/spec.ts), and indexes of data shards, `indexes/<hash>.index` (src/data/index/index-object.ts). Those
 * of filters lie below `filters/<name>` (src/data/index/filter-document.ts, src/filtering/keys.ts).
 */

/**
 * Names of runs, phases and attempts: what Temporal IDs and S3 keys both take without quoting. Colons too: a schedule of
 * Temporal appends the time to the ID of each run, -2026-11-26T12:44:47Z.
 */
export const namePattern = /^(?!\.{1,2}$)[A-Za-z0-9._:-]{1,200}$/;

/** Where something of a phase belongs. */
export interface PhaseKey {
  readonly run: string;
  readonly phase: string;
}

export interface StepKey extends PhaseKey {
  readonly revision: number;
  readonly step: number;
}

export function runKey(run: string): string {
  return `${runPrefix(run)}run.json`;
}

/** The checkpoints of other runs that this one began with. */
export function originsKey(run: string): string {
  return `${runPrefix(run)}data/origins.json`;
}

/** The run as one page of HTML. */
export function reportKey(run: string): string {
  return `${runPrefix(run)}report.html`;
}

/** What happened to a phase, as its workflow tells it, or to the run itself. */
export function historyKey({ run, phase }: { readonly run: string; readonly phase: string | null }): string {
  return `${phase === null ? runPrefix(run) : phasePrefix({ run, phase })}history.json`;
}

export function runPrefix(run: string): string {
  return `runs/${name(run, 'run')}/`;
}

export function phasePrefix({ run, phase }: PhaseKey): string {
  return `${runPrefix(run)}${name(phase, 'phase')}/`;
}

/** What workers and trainers said for a phase, or for all of a run; ends in /. */
export function logsPrefix({ run, phase }: { readonly run: string; readonly phase: string | null }): string {
  return `logs/${name(run, 'run')}/${phase === null ? '' : `${name(phase, 'phase')}/`}`;
}

export function latestKey(at: PhaseKey): string {
  return `${phasePrefix(at)}latest.json`;
}

/** The figures of an evaluation that a recipe asks for; `hash` is of all that they depend on. */
export function recipeEvaluationKey(at: PhaseKey, hash: string): string {
  return `${phasePrefix(at)}evaluation-${hash}.json`;
}

/** The sheet of pictures beside them. */
export function recipeSheetKey(at: PhaseKey, hash: string): string {
  return `${phasePrefix(at)}sheet-${hash}.json`;
}

/** Where the evaluations of the checkpoints of a step lie; ends in /. */
export function evaluationsPrefix({ run, phase, step }: PhaseKey & { step: number }): string {
  return `evaluations/${name(run, 'run')}/${name(phase, 'phase')}-${step}/`;
}

/** All that an evaluation of a checkpoint leaves; `task` is its name and its id. */
export function evaluationPrefix(at: PhaseKey & { step: number; task: string }): string {
  return `${evaluationsPrefix(at)}${name(at.task, 'task')}/`;
}

/** The best of its checkpoints by a figure. */
export function bestKey(at: PhaseKey): string {
  return `${phasePrefix(at)}best.json`;
}

/** What its figure has been, evaluation by evaluation, where that may end it. */
export function earlyStoppingKey(at: PhaseKey): string {
  return `${phasePrefix(at)}early-stopping.json`;
}

/** What a phase ended with. */
export function endKey(at: PhaseKey): string {
  return `${phasePrefix(at)}end.json`;
}

/** Where attempts say that they are at work. */
export function workKey(at: PhaseKey & { attempt: string }): string {
  return `${phasePrefix(at)}work/${name(at.attempt, 'attempt')}.json`;
}

const workPattern = /^runs\/([^/]+)\/([^/]+)\/work\/([^/]+)\.json$/;

export function parseWorkKey(key: string): (PhaseKey & { attempt: string }) | null {
  const [, run = '', phase = '', attempt = ''] = workPattern.exec(key) ?? [];
  return [run, phase, attempt].every((one) => namePattern.test(one)) ? { run, phase, attempt } : null;
}

export function commitsPrefix(at: PhaseKey & { revision: number }): string {
  return `${phasePrefix(at)}r${whole(at.revision)}/commits/`;
}

export function commitKey(at: StepKey): string {
  return `${commitsPrefix(at)}step-${padded(at.step)}.json`;
}

/** The folder of one attempt at one step, ending in /. */
export function attemptPrefix(at: StepKey & { attempt: string }): string {
  return `${phasePrefix(at)}r${whole(at.revision)}/step-${padded(at.step)}-${name(at.attempt, 'attempt')}/`;
}

/** What the folders of all attempts at a step begin with. */
export function stepPrefix(at: StepKey): string {
  return attemptPrefix({ ...at, attempt: '-' }).slice(0, -'-/'.length);
}

/** Where marks lie of who is about to delete what an attempt uploaded; ends in /. */
export function marksPrefix(at: StepKey & { attempt: string }): string {
  return `${phasePrefix(at)}r${whole(at.revision)}/doomed/step-${padded(at.step)}-${name(at.attempt, 'attempt')}/`;
}

/** A round of a phase, by the step that it ends with. */
export type RoundKey = StepKey;

/** What the replicas of a round hand in; ends in /. */
export function roundPrefix(at: RoundKey): string {
  return `${phasePrefix(at)}r${whole(at.revision)}/rounds/step-${padded(at.step)}/`;
}

/** What the replica of a slot came to: of several attempts the one that counts. */
export function slotKey(at: RoundKey & { slot: number }): string {
  return `${roundPrefix(at)}slot-${String(whole(at.slot)).padStart(4, '0')}.json`;
}

/** The files of one attempt at a slot or at a merge; ends in /. */
export function roundAttemptPrefix(at: RoundKey & { attempt: string }): string {
  return `${roundPrefix(at)}${name(at.attempt, 'attempt')}/`;
}

const roundPattern = /^runs\/([^/]+)\/([^/]+)\/r(0|[1-9]\d{0,8})\/rounds\/step-(\d{8,15})\//;

/** The round that an object belongs to; null for any other key. */
export function parseRoundKey(key: string): RoundKey | null {
  const [, run = '', phase = '', revision, step] = roundPattern.exec(key) ?? [];
  if (![run, phase].every((one) => namePattern.test(one))) return null;
  const at = { run, phase, revision: Number(revision), step: Number(step) };
  return key.startsWith(roundPrefix(at)) ? at : null;
}

/** Whether a prefix is that of some attempt at this step: nothing else is followed. */
export function isAttemptPrefix(at: StepKey & { prefix: string }): boolean {
  const start = stepPrefix(at);
  return at.prefix.startsWith(start) && at.prefix.endsWith('/') && namePattern.test(at.prefix.slice(start.length, -1));
}

const commitPattern = /^runs\/([^/]+)\/([^/]+)\/r(0|[1-9]\d{0,8})\/commits\/step-(\d{8,15})\.json$/;

/** What a commit key says, or null for any other key. */
export function parseCommitKey(key: string): StepKey | null {
  const [, run = '', phase = '', revision, step] = commitPattern.exec(key) ?? [];
  if (!namePattern.test(run) || !namePattern.test(phase)) return null;
  const at = { run, phase, revision: Number(revision), step: Number(step) };
  return commitKey(at) === key ? at : null;
}

/** Figures for plots, in pieces. */
export function metricsPrefix(at: PhaseKey): string {
  return `${phasePrefix(at)}metrics/`;
}

/** What teachers made of the training data, a file for each data shard, in a folder for each scoring. */
export function scoresPrefix(at: PhaseKey): string {
  return `${phasePrefix(at)}scores/`;
}

export interface ScoreKey extends PhaseKey {
  /** Teacher, settings and data, hashed: 16 hexadecimal digits. */
  readonly scoring: string;
  /** Number of the data shard. */
  readonly shard: number;
}

export function scoreKey(at: ScoreKey): string {
  return `${scoresPrefix(at)}${name(at.scoring, 'scoring')}/${padded(at.shard)}.safetensors`;
}

const scorePattern = /^runs\/([^/]+)\/([^/]+)\/scores\/([0-9a-f]{16})\/(\d{8,15})\.safetensors$/;

export function parseScoreKey(key: string): ScoreKey | null {
  const [, run = '', phase = '', scoring = '', shard] = scorePattern.exec(key) ?? [];
  if (![run, phase].every((one) => namePattern.test(one))) return null;
  const at = { run, phase, scoring, shard: Number(shard) };
  return scoreKey(at) === key ? at : null;
}

/** How often a phase of these settings is checkpointed, when that was measured. */
export function paceKey(at: PhaseKey, settingsSha256: string): string {
  return `${phasePrefix(at)}pace-${settingsSha256.slice(0, 16)}.json`;
}

/** Whether XLA compiles the steps of a phase of these settings, when that was measured. */
export function xlaKey(at: PhaseKey, settingsSha256: string): string {
  return `${phasePrefix(at)}xla-${settingsSha256.slice(0, 16)}.json`;
}

/** In which precision the steps of a phase of these settings are made, when that was measured. */
export function precisionKey(at: PhaseKey, settingsSha256: string): string {
  return `${phasePrefix(at)}precision-${settingsSha256.slice(0, 16)}.json`;
}

/** With how many threads a phase began, and on which kind of CPU. */
export function cpuKey(at: PhaseKey): string {
  return `${phasePrefix(at)}cpu.json`;
}

export function pinsPrefix(at: PhaseKey): string {
  return `${phasePrefix(at)}pins/`;
}

export function pinKey(at: StepKey & { who: string }): string {
  return `${pinsPrefix(at)}r${whole(at.revision)}-step-${padded(at.step)}/${name(at.who, 'holder')}.json`;
}

const attemptPattern = /^(runs\/([^/]+)\/([^/]+)\/r(0|[1-9]\d{0,8})\/step-(\d{8,15})-([^/]+)\/)./;

/** The attempt that an object belongs to, and its prefix; null for any other key. */
export function parseAttemptKey(key: string): (StepKey & { attempt: string; prefix: string }) | null {
  const [, prefix = '', run = '', phase = '', revision, step, attempt = ''] = attemptPattern.exec(key) ?? [];
  if (![run, phase, attempt].every((one) => namePattern.test(one))) return null;
  const at = { run, phase, revision: Number(revision), step: Number(step), attempt };
  return attemptPrefix(at) === prefix ? { ...at, prefix } : null;
}

/** The attempt that a prefix is of; null for any other. */
export function parseAttemptPrefix(prefix: string): (StepKey & { attempt: string }) | null {
  const at = parseAttemptKey(`${prefix}-`);
  return at?.prefix === prefix ? at : null;
}

export const isMarkKey = (key: string): boolean => /^runs\/[^/]+\/[^/]+\/r\d+\/doomed\/[^/]+\/[^/]+\.json$/.test(key);

const pinPattern = /^runs\/([^/]+)\/([^/]+)\/pins\/r(0|[1-9]\d{0,8})-step-(\d{8,15})\/([^/]+)\.json$/;

export function parsePinKey(key: string): (StepKey & { who: string }) | null {
  const [, run = '', phase = '', revision, step, who = ''] = pinPattern.exec(key) ?? [];
  if (![run, phase, who].every((one) => namePattern.test(one))) return null;
  const at = { run, phase, revision: Number(revision), step: Number(step), who };
  return pinKey(at) === key ? at : null;
}

function name(text: string, what: string): string {
  if (namePattern.test(text)) return text;
  throw new RunnerError(
    'RecipeInvalid',
    `${JSON.stringify(text)} can't be the name of a ${what}; use at most 200 of A-Z, a-z, 0-9, ., :, _ and -`,
  );
}

function whole(value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new RunnerError('RecipeInvalid', `steps and revisions are whole numbers from 0, got ${value}`);
}

function padded(step: number): string {
  return String(whole(step)).padStart(8, '0');
}
