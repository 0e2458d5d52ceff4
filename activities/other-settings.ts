import { runPrefix } from '../src/checkpoint/keys.ts';
import type { Manifest } from '../src/checkpoint/types.ts';
import { briefJson, settingDifferences } from '../src/recipe/setting-differences.ts';
import { isRunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { PhasePlan } from './types/plan.ts';

/** Fields that `retryPhase` sets, by where they are in the settings of a phase. */
const overrides: Readonly<Record<string, string>> = {
  'optimizer.learningRate': 'learningRate',
  'optimizer.weightDecay': 'weightDecay',
  'optimizer.clipNorm': 'clipNorm',
  'batches.batch': 'batch',
  'batches.data.maxBroken': 'maxBroken',
  precision: 'precision',
  accumulate: 'accumulate',
  remat: 'remat',
  xla: 'xla',
  'objectives.localToGlobal.teacherTemperature': 'teacherTemperature',
  'objectives.localToGlobal.centerMomentum': 'centerMomentum',
  'objectives.maskedPrediction.teacherTemperature': 'teacherTemperature',
  'objectives.maskedPrediction.centerMomentum': 'centerMomentum',
};
/** More would not be read. */
const mostFields = 4;

export interface OtherSettings {
  /** `with optimizer.learningRate 0.003 where this run has 0.001`. */
  readonly said: string;
  /** The argument of `retryPhase` that makes them those of this run; null where there is none. */
  readonly again: string | null;
}

/** How a checkpoint was made otherwise than a phase is planned now, in words. */
export async function otherSettings(
  store: ObjectStore,
  plan: PhasePlan,
  { settingsSha256, dataFingerprint }: Manifest,
): Promise<OtherSettings> {
  const data = dataFingerprint === plan.dataFingerprint ? '' : 'on other data';
  if (settingsSha256 === plan.settings.sha256)
    return { said: data || 'from another start, or with other batches left out', again: null };
  const theirs = settingsSha256 ? await settingsOf(store, plan, settingsSha256) : null;
  const ours = await settingsOf(store, plan, plan.settings.sha256);
  const fields = theirs && ours ? settingDifferences(theirs, ours) : [];
  if (fields.length === 0) return { said: data || 'with other settings than this run has', again: null };
  const said = fields.map(({ at, theirs, ours }) => `${at} ${briefJson(theirs)} where this run has ${briefJson(ours)}`);
  const known = fields.filter(({ at }) => overrides[at] !== undefined);
  // What was left to measurement is no part of settings.
  const again = Object.fromEntries(known.map(({ at, theirs }) => [overrides[at], theirs ?? 'auto']));
  return {
    said: `${data ? `${data}, ` : ''}with ${said.slice(0, mostFields).join(', ')}${said.length > mostFields ? ' and more' : ''}`,
    again: known.length === fields.length && !data ? JSON.stringify(again) : null,
  };
}

async function settingsOf(store: ObjectStore, { run, phase }: PhasePlan, hash: string): Promise<unknown> {
  const key = `${runPrefix(run)}data/${phase}-settings-${hash.slice(0, 16)}.json`;
  try {
    return JSON.parse((await store.get(key)).toString());
  } catch (error) {
    // What is not there, or not readable, can't be said: it is for people.
    if (error instanceof SyntaxError || isRunnerError(error, 'ObjectMissing') || isRunnerError(error, 'DataContract'))
      return null;
    throw error;
  }
}
