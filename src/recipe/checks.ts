import { curations } from './curation-checks.ts';
import { type EpochFacts, parentOf, recipeLengths } from './durations.ts';
import { objectivesSchema, squareObjectives } from './objectives.ts';
import { allowedPlace, isWithin, placesOf } from './places.ts';
import type { Problem } from './problem.ts';
import { drawOf, readProblems } from './reading.ts';
import { replicasProblems } from './replicas.ts';
import type { Phase, Recipe, RecipeModel } from './schema.ts';
import { dataOf, modelConfig, writtenModel } from './settings.ts';
import { doubledPlaces, sourceProblems, sourcesOf, trainingPlaces } from './sources.ts';
import { stepsOf } from './spans.ts';
import { taskProblems } from './task-checks.ts';
import { trainedProblems } from './trained-checks.ts';

/** Where fields contradict one another. `epochs`: how many examples there are to train on, when known. */
export function contradictions(recipe: Recipe, epochs: EpochFacts = {}): Problem[] {
  return [
    ...names(recipe),
    ...origins(recipe),
    ...models(recipe),
    ...inputs(recipe),
    ...aims(recipe),
    ...microBatches(recipe),
    ...lengths(recipe, epochs),
    ...curations(recipe),
    ...rounds(recipe),
    ...data(recipe),
    ...taskProblems(recipe),
  ];
}

/** Folders of a run in the bucket that are no phases. */
const reserved = ['data', 'export'];

function names({ phases }: Recipe): Problem[] {
  return phases.flatMap(({ name }, i) => {
    if (!reserved.includes(name)) return [];
    const message = `phases.${i}.name is "${name}"; another name is allowed, since a run keeps other things there`;
    return [{ fields: [`phases.${i}.name`], message }];
  });
}

/** A phase goes on from an earlier one, so that there are no circles. */
function origins({ phases }: Recipe): Problem[] {
  return phases.flatMap(({ name, from }, i) => {
    const problems: Problem[] = [];
    if (phases.findIndex((other) => other.name === name) < i) {
      const message = `phases.${i}.name is "${name}" again; each name once is allowed`;
      problems.push({ fields: [`phases.${i}.name`], message });
    }
    const earlier = phases.slice(0, i).map((phase) => phase.name);
    if (typeof from === 'string' && !earlier.includes(from)) {
      const allowed =
        earlier.length === 0
          ? 'the first phase starts from scratch or from another run'
          : `an earlier phase is allowed: ${earlier.join(', ')}`;
      problems.push({ fields: [`phases.${i}.from`], message: `phases.${i}.from is "${from}"; ${allowed}` });
    }
    return problems;
  });
}

function microBatches(recipe: Recipe): Problem[] {
  return recipe.phases.flatMap((phase, i) => {
    const { accumulate, batch } = phase;
    const least = Math.min(
      ...stepsOf(recipe, phase)
        .shapes()
        .map(({ count }) => count),
    );
    if (batch % accumulate === 0 && least % accumulate === 0) return [];
    const message = `phases.${i}.accumulate is ${accumulate}; a divisor of the batch ${batch}${least < batch ? ', and of its half,' : ''} is allowed`;
    return [{ fields: [`phases.${i}.accumulate`, `phases.${i}.batch`], message }];
  });
}

/** What phases say of training in rounds. */
function rounds({ phases }: Recipe): Problem[] {
  return phases.flatMap(({ replicas, objectives }, i) => {
    if (!replicas) return [];
    if (replicas.negatives === 'reweighted' && objectives.sigmoid === undefined) {
      const field = `phases.${i}.replicas.negatives`;
      const message = `${field} is about pairs, and the phase has no sigmoid loss; leave it out, or add "sigmoid" to its objectives`;
      return [{ fields: [field, `phases.${i}.objectives`], message }];
    }
    return replicasProblems(replicas).map(({ field, message }) => {
      const at = `phases.${i}.replicas.${field}`;
      return { fields: [at], message: `${at} ${message}` };
    });
  });
}

function aims(recipe: Recipe): Problem[] {
  return recipe.phases.flatMap((phase, i) => {
    const { objectives, negatives, positives } = phase;
    const pairs =
      positives === 'shared' || positives === 'any' ? 'positives' : negatives === 'distinct' ? 'negatives' : null;
    if (pairs && objectives.sigmoid === undefined) {
      const message = `phases.${i}.${pairs} is about pairs, and the phase has no sigmoid loss; leave it out, or add "sigmoid" to its objectives`;
      return [{ fields: [`phases.${i}.${pairs}`, `phases.${i}.objectives`], message }];
    }
    if (pairs === 'positives' && negatives === 'all') {
      const message = `phases.${i}.negatives is "all", and its positives are "${positives}": what is shared can't be both; leave negatives out`;
      return [{ fields: [`phases.${i}.negatives`, `phases.${i}.positives`], message }];
    }
    const data = dataOf(recipe, phase);
    if (positives === 'any' && !data.mixture && drawOf(data.read) === 'joined' && data.labelShare !== 1) {
      const message = `phases.${i}.positives is "any", and the texts of an example are joined to one, which is no text of another; allowed: "shared", "draw": "one" in data.read, or labelShare 1`;
      return [{ fields: [`phases.${i}.positives`, 'data.read', 'data.labelShare'], message }];
    }
    if (Object.values(objectives).some((own) => own !== undefined)) return [];
    const known = Object.keys(objectivesSchema.shape).join(', ');
    const message = `phases.${i}.objectives names none; at least one is allowed: ${known}`;
    return [{ fields: [`phases.${i}.objectives`], message }];
  });
}

/** The model of the recipe, and those of single phases. */
function models(recipe: Recipe): Problem[] {
  const problems = recipe.model ? towers(recipe.model, 'model') : missingModel(recipe);
  for (const [i, { model, from }] of recipe.phases.entries()) {
    if (!model) continue;
    const field = `phases.${i}.model`;
    problems.push(...towers(model, field));
    if (typeof from !== 'string') continue;
    const message = `${field} is given, and phase ${from} that it goes on from has a model; no model, or another from is allowed`;
    problems.push({ fields: [field, `phases.${i}.from`], message });
  }
  // What a checkpoint's model has is known when it was looked at.
  if (problems.length > 0 || recipe.phases.some((phase) => !writtenModel(recipe, phase))) return problems;
  return trainedProblems(recipe);
}

/** Without a model there are only phases that go on from a checkpoint that has one. */
function missingModel(recipe: Recipe): Problem[] {
  const fresh = recipe.phases.find((phase) => phase.from === undefined && !phase.model);
  if (!fresh) return [];
  const message = `model is missing; needed: an object with vision and text, since phase ${fresh.name} starts from scratch`;
  return [{ fields: ['model'], message }];
}

function towers({ vision, text }: RecipeModel, at: string): Problem[] {
  const problems: Problem[] = [];
  if (!isSized({ vision, text })) {
    const message = `${at}.text.size is missing; needed when ${at}.vision.size is given as numbers`;
    problems.push({ fields: [`${at}.text.size`, `${at}.vision.size`], message });
  }
  for (const [name, size] of Object.entries({ vision: vision.size, text: text.size })) {
    if (typeof size !== 'object' || size.width % size.heads === 0) continue;
    const field = `${at}.${name}.size`;
    const message = `${field}.heads is ${size.heads}; a divisor of the width ${size.width} is allowed`;
    problems.push({ fields: [field, `${field}.heads`, `${field}.width`], message });
  }
  if (vision.patch > vision.resolution) {
    const message = `${at}.vision.patch is ${vision.patch}; at most the resolution ${vision.resolution} is allowed`;
    problems.push({ fields: [`${at}.vision.patch`, `${at}.vision.resolution`], message });
  }
  return problems;
}

/** Whether the size of the text tower is known. */
const isSized = ({ vision, text }: Pick<RecipeModel, 'vision' | 'text'>) =>
  typeof vision.size === 'string' || text.size !== undefined;

/** What a phase makes of the vision tower's input. */
function inputs(recipe: Recipe): Problem[] {
  return recipe.phases.flatMap((phase, i) => {
    const written = writtenModel(recipe, phase);
    if (!written || !isSized(written)) return [];
    const { vision, text } = modelConfig(recipe, null, phase);
    const { patch, resolution, kind } = vision;
    if (phase.text && phase.from === undefined)
      return textProblem(
        i,
        'is of a phase that goes on from another; model.text.length is allowed in one from scratch',
      );
    const before = modelConfig(recipe, null, { ...phase, text: undefined }).text.length;
    if (text.length < before)
      return textProblem(i, `has a length of ${text.length}, and it was ${before} before; at least that is allowed`);
    const problem = (field: string, said: unknown, allowed: string): Problem[] => {
      const at = `phases.${i}.objectives.${field}`;
      return [{ fields: [at], message: `${at} is ${JSON.stringify(said)}; ${allowed}` }];
    };
    const square = squareObjectives.find((name) => phase.objectives[name] !== undefined);
    if (kind === 'naflex' && square)
      return problem(square, {}, 'a phase of NaFlex trains without it, as the paper does');
    const local = phase.objectives.localToGlobal?.resolution;
    if (local !== undefined && local % patch !== 0)
      return problem('localToGlobal.resolution', local, `a multiple of the patch ${patch} is allowed`);
    const share = phase.objectives.maskedPrediction?.share;
    const patches = Math.floor(resolution / patch) ** 2;
    if (share !== undefined && Math.round(share * patches) < 1)
      return problem('maskedPrediction.share', share, `a share that is at least one of ${patches} patches is allowed`);
    if (patch <= resolution || (phase.vision.patch ?? phase.vision.resolution) === undefined) return [];
    const message = `phases.${i}.vision makes patches of ${patch} at a resolution of ${resolution}; patches of at most the resolution are allowed`;
    return [{ fields: [`phases.${i}.vision`], message }];
  });
}

const textProblem = (i: number, problem: string): Problem[] => [
  { fields: [`phases.${i}.text`], message: `phases.${i}.text ${problem}` },
];

function lengths(recipe: Recipe, epochs: EpochFacts): Problem[] {
  const first = recipe.phases[0]!;
  const { total, warmup, schedules, windows } = recipeLengths(recipe, epochs);
  const problems = scheduleProblems(recipe.schedule, { total, warmup }, first.batch, 'schedule');
  for (const [i, { schedule, batch }] of recipe.phases.entries())
    if (schedule) problems.push(...scheduleProblems(schedule, schedules[i]!, batch, `phases.${i}.schedule`));
  if (problems.some(({ fields }) => fields.some((field) => field.endsWith('schedule.total')))) return problems;
  for (const [i, { from, to }] of windows.entries()) {
    const phase = recipe.phases[i]!;
    const { total } = schedules[i]!;
    const parent = phase.schedule ? undefined : parentOf(recipe, phase);
    const above = parent && windows[recipe.phases.indexOf(parent)];
    const field = `phases.${i}.window`;
    const shown = JSON.stringify(phase.window);
    const lengths = lengthFields(recipe, phase);
    const add = (end: string, allowed: string) =>
      problems.push({ fields: [`${field}.${end}`, ...lengths], message: `${field} is ${shown}; ${allowed}` });
    if (phase.schedule && from !== null && from !== 0)
      add('from', 'a phase with a schedule of its own starts at 0 of it');
    else if (phase.from === undefined && from !== null && from !== 0) add('from', 'a phase from scratch starts at 0');
    else if (
      above &&
      from !== null &&
      above.from !== null &&
      above.to !== null &&
      !(from > above.from && from <= above.to)
    )
      add('from', `a start within the window of ${parent.name} is allowed, after its beginning`);
    else if (from !== null && to !== null && (to - from) * phase.stretch < phase.batch)
      add('to', `at least one step of ${phase.batch} examples between from and to is allowed`);
    else if (to !== null && total !== null && to > total)
      add('to', `an end within ${scheduleOf(recipe, phase)} is allowed`);
  }
  return problems;
}

/** What else says where the window of a phase lies: while it is wrong, nothing can be said of the window. */
function lengthFields(recipe: Recipe, phase: Phase): string[] {
  const at = `phases.${recipe.phases.indexOf(phase)}`;
  const own = ['phases.0.batch', 'schedule.total', `${at}.batch`, `${at}.schedule`, `${at}.stretch`];
  const parent = parentOf(recipe, phase);
  if (!parent) return own;
  return [...own, `${at}.from`, `phases.${recipe.phases.indexOf(parent)}.window`, ...lengthFields(recipe, parent)];
}

/** The total of the schedule that a phase follows, as the recipe says it. */
function scheduleOf(recipe: Recipe, phase: Recipe['phases'][number]): string {
  const parent = parentOf(recipe, phase);
  if (phase.schedule)
    return `phases.${recipe.phases.indexOf(phase)}.schedule.total ${JSON.stringify(phase.schedule.total)}`;
  return parent ? scheduleOf(recipe, parent) : `schedule.total ${JSON.stringify(recipe.schedule.total)}`;
}

function scheduleProblems(
  schedule: Recipe['schedule'],
  { total, warmup }: { readonly total: number | null; readonly warmup: number | null },
  batch: number,
  at: string,
): Problem[] {
  const said = JSON.stringify(schedule.total);
  if ('percent' in schedule.total) {
    const message = `${at}.total is in percent; percents are of it, so steps, examples or epochs are allowed`;
    return [{ fields: [`${at}.total`], message }];
  }
  if (total !== null && total < batch) {
    const message = `${at}.total is ${said}; at least one step of ${batch} examples is allowed`;
    return [{ fields: [`${at}.total`], message }];
  }
  if (total === null || warmup === null || warmup < total) return [];
  const message = `${at}.warmup is ${JSON.stringify(schedule.warmup)}; less than ${at}.total ${said} is allowed`;
  return [{ fields: [`${at}.warmup`, `${at}.total`], message }];
}

/** The data of the recipe, and what single phases have otherwise. */
function data(recipe: Recipe): Problem[] {
  const { evaluation } = recipe.data;
  const problems = dataProblems(recipe.data, evaluation, 'data');
  if (trainingPlaces(recipe.data).length === 0) {
    const message = `data.train is missing; needed: ${allowedPlace(undefined, ', or a list')}; or a mixture`;
    problems.push({ fields: ['data.train'], message });
  }
  problems.push(...readProblems(recipe.data.evaluationRead, 'data.evaluationRead'));
  problems.push(...wideCrops(recipe));
  for (const [i, { data }] of recipe.phases.entries()) {
    if (!data) continue;
    const at = `phases.${i}.data`;
    problems.push(...dataProblems(data, evaluation, at));
    if (data.augment ?? data.resize) problems.push(...wideCrops(recipe, data, at));
    const own = (['read', 'regions', 'mixtureAlpha'] as const).find((field) => data[field] !== undefined);
    if (own && recipe.data.mixture && !data.train && !data.mixture) {
      const message = `${at} has ${own} of its own for the mixture of data; a mixture or a train of its own is allowed beside it`;
      problems.push({ fields: [`${at}.${own}`], message });
    }
  }
  return problems;
}

/** Sides of the image that a crop may have: it takes four times the memory of the image then. */
const widestCrop = 2;

/** `of`: the phase, where it says something else than the recipe. */
function wideCrops({ data }: Recipe, of: NonNullable<Phase['data']> = {}, at = 'data'): Problem[] {
  const { scale } = of.augment ?? data.augment;
  if ((of.resize ?? data.resize) !== 'antialias' || scale[1] <= widestCrop) return [];
  const message = `${at}.augment.scale is ${JSON.stringify(scale)}; at most ${widestCrop} is allowed with "resize": "antialias", which lays out all that a crop shows`;
  return [{ fields: [`${at}.augment.scale`, `${at}.resize`], message }];
}

function dataProblems(
  data: NonNullable<Recipe['phases'][number]['data']>,
  evaluation: string | undefined,
  at: string,
): Problem[] {
  const { read, captions = [], augment } = data;
  const problems = [...readProblems(read, `${at}.read`), ...sourceProblems(data, at)];
  for (const [i, { train }] of sourcesOf(data).entries()) {
    const field = data.mixture ? `${at}.mixture.${i}.train` : `${at}.train`;
    for (const place of placesOf(train)) {
      if (evaluation === undefined) continue;
      if (isWithin(evaluation, place)) {
        const message = `data.evaluation is "${evaluation}"; a prefix outside of ${field} "${place}" is allowed, since it must not be trained on`;
        problems.push({ fields: ['data.evaluation', field], message });
      } else if (isWithin(place, evaluation)) {
        const message = `data.evaluation is "${evaluation}"; it holds ${field} "${place}", and must not be trained on`;
        problems.push({ fields: ['data.evaluation', field], message });
      }
    }
    for (const place of doubledPlaces(train)) {
      const message = `${field} names "${place}" twice, or within another of its places; each once is allowed`;
      problems.push({ fields: [field], message });
    }
  }
  captions.forEach(({ language }, i) => {
    if (captions.findIndex((other) => other.language === language) === i) return;
    const message = `${at}.captions.${i}.language is "${language}" again; each language once is allowed`;
    problems.push({ fields: [`${at}.captions.${i}.language`], message });
  });
  if (augment && augment.scale[0] > augment.scale[1]) {
    const message = `${at}.augment.scale is ${JSON.stringify(augment.scale)}; [smallest, largest] is allowed`;
    problems.push({ fields: [`${at}.augment.scale`], message });
  }
  return problems;
}
