import { join } from 'node:path';
import { countCaptions } from '../src/data/example/census.ts';
import { collectTokenIds } from '../src/data/example/token-ids.ts';
import { indexData } from '../src/data/index/index-data.ts';
import { joinFilter } from '../src/data/index/join-filter.ts';
import { joinRegions } from '../src/data/index/join-regions.ts';
import { corruptIn } from '../src/data/index/open-index.ts';
import type { DataIndex } from '../src/data/index/types.ts';
import { brokenProblems } from '../src/plan/broken.ts';
import { captionProblems } from '../src/plan/captions.ts';
import { informationBound } from '../src/recipe/information.ts';
import { squareObjectives } from '../src/recipe/objectives.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { isWithin, placesOf } from '../src/recipe/places.ts';
import { foreign } from '../src/recipe/reading.ts';
import { respan } from '../src/recipe/respan.ts';
import { type Schedule, schedulePosition } from '../src/recipe/schedule.ts';
import { precisionOf, xlaOf } from '../src/recipe/settings.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import { changesOf } from './changes.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocument, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { keepIndex } from './keep-index.ts';
import { type OtherData, otherSource } from './other-source.ts';
import type { PhasePlan } from './types/plan.ts';
import type { ReplanInput, Replanned } from './types/shard.ts';

/** The plan of a phase with other settings, which the workflow has checked. Calling it again changes nothing. */
export async function replan(
  { store, scratch, log }: Dependencies,
  input: ReplanInput,
  attempt: Attempt,
): Promise<Replanned> {
  const heart = beat(attempt);
  try {
    const { plan, overrides, extend, replicas } = input;
    const { shardSteps, checkpointEvery, precision, xla, accumulate, remat, batch, data, ...others } = overrides;
    const { read, maxBroken, teacherTemperature, centerMomentum, minInformation, ...rates } = others;
    const before = await readDocumentAs<PhaseSettings>(store, plan.settings, join(scratch, 'documents'));
    if (before.batches.data.mixture && (data ?? read) !== undefined)
      throw refused(
        `phase ${plan.phase} trains on a mixture, whose sources can't be changed; start another phase from its last checkpoint`,
      );
    const index = (data ?? read) === undefined ? null : await otherData(store, plan, before, overrides);
    const spanned = batch === undefined ? null : spannedAnew(input, before, batch);
    const { xla: xlaBefore, precision: precisionBefore, ...kept } = before;
    const settings: PhaseSettings = {
      ...kept,
      ...precisionOf(precision ?? precisionBefore),
      ...xlaOf(xla ?? xlaBefore),
      ...(replicas && { replicas }),
      schedule: extend ? extended(before, plan, extend) : before.schedule,
      accumulate: accumulate ?? before.accumulate,
      remat: remat ?? before.remat,
      optimizer: {
        ...before.optimizer,
        learningRate: rates.learningRate ?? before.optimizer.learningRate,
        weightDecay: rates.weightDecay ?? before.optimizer.weightDecay,
        clipNorm: rates.clipNorm ?? before.optimizer.clipNorm,
      },
      objectives: withTeacher(plan, before, { teacherTemperature, centerMomentum }),
      batches: {
        ...before.batches,
        data: otherSource(before, overrides),
        ...(spanned && { batch: spanned.batch, offset: spanned.offset }),
      },
    };
    requireDivisor(settings);
    log.info({ run: plan.run, phase: plan.phase, overrides, extend }, 'planned again');
    const longer = extend && {
      to: { step: plan.to.step + extend.steps, examples: plan.to.examples + extend.steps * plan.batch },
    };
    return {
      ...plan,
      ...longer,
      ...(replicas && { replicas }),
      ...(index && {
        index: await keepIndex(store, plan.run, index, { scored: plan.curation !== undefined }),
        dataFingerprint: index.fingerprint,
        members: index.examples + corruptIn(index),
        // Numbers of batches of other data.
        skip: [],
      }),
      ...(spanned && { begins: spanned.begins, batch: spanned.batch, to: spanned.to, skip: index ? [] : spanned.skip }),
      ...informationAnew(input, settings),
      settings: await keepDocument(store, plan.run, `${plan.phase}-settings`, settings),
      shardSteps: shardSteps ?? plan.shardSteps,
      checkpointEvery: checkpointEvery ?? plan.checkpointEvery,
      changes: changesOf(overrides, plan, before),
    };
  } finally {
    heart.stop();
  }
}

function spannedAnew({ plan, at = plan.from, skip = [] }: ReplanInput, { batches }: PhaseSettings, batch: number) {
  const { begins = plan.from, to } = plan;
  const span = { begins, offset: batches.offset ?? 0, batch: plan.batch, to, skip };
  const spanned = respan(span, at, batch);
  if (spanned) return spanned;
  throw refused(`phase ${plan.phase} has ${to.examples - at.examples} examples left, less than a batch of ${batch}`);
}

/** The objectives of a phase with another teacher. */
function withTeacher(
  { phase }: PhasePlan,
  { objectives }: PhaseSettings,
  changes: Pick<ReplanInput['overrides'], 'teacherTemperature' | 'centerMomentum'>,
): PhaseSettings['objectives'] {
  const named = Object.entries(changes).filter(([, value]) => value !== undefined);
  if (named.length === 0) return objectives;
  const taught = squareObjectives.filter((name) => objectives[name]);
  if (taught.length === 0) throw refused(`phase ${phase} has no teacher whose ${named[0]![0]} could be changed`);
  const changed = taught.map((name) => [name, { ...objectives[name], ...Object.fromEntries(named) }]);
  return { ...objectives, ...Object.fromEntries(changed) };
}

/** What is changed of a phase gives its teacher time; a phase of an older version has a bound when it is asked for. */
function informationAnew(
  { plan, at = plan.from, overrides: { minInformation: asked }, extend }: ReplanInput,
  settings: PhaseSettings,
): Pick<PhasePlan, 'information'> {
  const min = asked ?? plan.information?.min;
  if (min === undefined || extend) return {};
  return { information: informationBound(settings, at.step, min) };
}

function requireDivisor({ accumulate, batches: { batch } }: PhaseSettings): void {
  if (batch % accumulate === 0) return;
  throw refused(`accumulate is ${accumulate}; a divisor of the batch ${batch} is allowed`);
}

/** Looks at data that the phase has not had before. */
async function otherData(
  store: ObjectStore,
  { phase }: PhasePlan,
  { batches: { vocabulary, data, parts } }: PhaseSettings,
  other: OtherData,
): Promise<DataIndex> {
  const { evaluation } = data;
  const { train, read, regions, filter } = otherSource({ batches: { data } }, other);
  const both =
    evaluation && placesOf(train).find((place) => isWithin(evaluation, place) || isWithin(place, evaluation));
  if (both) throw refused(`data is "${both}", which is evaluated on (data.evaluation "${evaluation}")`);
  const found = await indexData(store, train, foreign(read));
  const described = regions === undefined ? found : await joinRegions(store, found, regions);
  const index = filter === undefined ? described : await joinFilter(store, described, filter);
  const languages = data.captions.map(({ language }) => language);
  const census = await countCaptions(store, index);
  const [problem] = [
    ...captionProblems({ places: 'data', field: 'captions', prefix: index.prefix, census, languages }),
    ...brokenProblems('data', index, census, { maxBroken: other.maxBroken ?? data.maxBroken }),
  ];
  if (problem) throw refused(problem.message);
  if (vocabulary === null) return index;
  const captioning = parts?.captionTargets !== undefined;
  const known = new Set(vocabulary);
  const used = await collectTokenIds(store, index, languages, { captioning, read, keep: store });
  const missing = used.filter((id) => !known.has(id)).length;
  if (missing === 0) return index;
  throw refused(
    `${missing} tokens of the data are not among the ${vocabulary.length} of the compacted table that phase ${phase} began with; start a run with "vocabulary": "full", or with these data`,
  );
}

const refused = (message: string) => new RunnerError('RecipeInvalid', message);

/** The schedule goes on from where it stands, slower, and ends where it would have ended. */
function extended(
  { schedule, batches }: PhaseSettings,
  { phase, to, batch }: PhasePlan,
  { steps, at }: NonNullable<ReplanInput['extend']>,
): Schedule {
  if (batches.naflex)
    throw refused(
      `phase ${phase} can't be extended: the steps of images of any shape are drawn for its whole length; start another phase from its end`,
    );
  const position = schedulePosition(at.examples, schedule);
  const left = schedulePosition(to.examples, schedule) - position;
  const examples = to.examples - at.examples + steps * batch;
  return { ...schedule, start: { examples: at.examples, position, stretch: examples / Math.max(left, 1) } };
}
