import { addedTokenProblems } from './added-token-checks.ts';
import { curations } from './curation-checks.ts';
import type { EpochFacts } from './durations.ts';
import { lengthProblems } from './length-checks.ts';
import { inputProblems, modelProblems } from './model-checks.ts';
import { objectivesSchema } from './objectives.ts';
import { allowedPlace, isWithin, placesOf } from './places.ts';
import type { Problem } from './problem.ts';
import { drawOf, readProblems } from './reading.ts';
import { replicasProblems } from './replicas.ts';
import type { Phase, Recipe } from './schema.ts';
import { dataOf } from './settings.ts';
import { doubledPlaces, sourceProblems, sourcesOf, trainingPlaces } from './sources.ts';
import { stepsOf } from './spans.ts';
import { taskProblems } from './task-checks.ts';

/** Where fields contradict one another. `epochs`: how many examples there are to train on, when known. */
export function contradictions(recipe: Recipe, epochs: EpochFacts = {}): Problem[] {
  return [
    ...names(recipe),
    ...origins(recipe),
    ...modelProblems(recipe),
    ...inputProblems(recipe),
    ...addedTokenProblems(recipe),
    ...aims(recipe),
    ...microBatches(recipe),
    ...lengthProblems(recipe, epochs),
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
  return phases.flatMap(({ replicas, objectives, negatives, positives }, i) => {
    if (!replicas) return [];
    const field = `phases.${i}.replicas.negatives`;
    if (replicas.negatives !== 'local' && objectives.sigmoid === undefined) {
      const message = `${field} is about pairs, and the phase has no sigmoid loss; leave it out, or add "sigmoid" to its objectives`;
      return [{ fields: [field, `phases.${i}.objectives`], message }];
    }
    const shares = sharesBy({ negatives, positives });
    if (replicas.negatives === 'bank' && shares) {
      const message = `${field} is "bank", whose texts are all negatives, and ${shares} of the phase is ${JSON.stringify({ positives, negatives }[shares])}; allowed: "reweighted" or "local", or leave ${shares} out`;
      return [{ fields: [field, `phases.${i}.${shares}`], message }];
    }
    return replicasProblems(replicas).map(({ field, message }) => {
      const at = `phases.${i}.replicas.${field}`;
      return { fields: [at], message: `${at} ${message}` };
    });
  });
}

/** Which field of a phase says that pairs with something in common are no negatives. */
const sharesBy = ({ negatives, positives }: Pick<Phase, 'negatives' | 'positives'>) =>
  positives === 'shared' || positives === 'any' ? 'positives' : negatives === 'distinct' ? 'negatives' : null;

function aims(recipe: Recipe): Problem[] {
  return recipe.phases.flatMap((phase, i) => {
    const { objectives, negatives, positives } = phase;
    const pairs = sharesBy(phase);
    if (pairs && objectives.sigmoid === undefined) {
      const message = `phases.${i}.${pairs} is about pairs, and the phase has no sigmoid loss; leave it out, or add "sigmoid" to its objectives`;
      return [{ fields: [`phases.${i}.${pairs}`, `phases.${i}.objectives`], message }];
    }
    if (pairs === 'positives' && negatives === 'all') {
      const message = `phases.${i}.negatives is "all", and its positives are "${positives}": what is shared can't be both; leave negatives out`;
      return [{ fields: [`phases.${i}.negatives`, `phases.${i}.positives`], message }];
    }
    if (objectives.hardNegatives && objectives.sigmoid === undefined) {
      const message = `phases.${i}.objectives.hardNegatives are pairs beside those of the sigmoid loss, which the phase has not; add "sigmoid" to its objectives`;
      return [{ fields: [`phases.${i}.objectives.hardNegatives`, `phases.${i}.objectives`], message }];
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
