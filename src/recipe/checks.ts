import { parameterSpecs } from '../model/parameters.ts';
import { parentOf, recipeLengths } from './durations.ts';
import { nearestName } from './nearest.ts';
import { objectivesSchema, squareObjectives } from './objectives.ts';
import { placesOf } from './places.ts';
import type { Recipe } from './schema.ts';
import { modelConfig } from './settings.ts';
import { stepsOf } from './spans.ts';

/** One mistake: the fields that it is about (dotted paths), and what to say. */
export interface Problem {
  readonly fields: readonly string[];
  readonly message: string;
}

/** Where fields contradict one another. `epoch` is the number of examples to train on, when known. */
export function contradictions(recipe: Recipe, epoch?: number): Problem[] {
  return [
    ...names(recipe),
    ...origins(recipe),
    ...towers(recipe),
    ...inputs(recipe),
    ...aims(recipe),
    ...microBatches(recipe),
    ...lengths(recipe, epoch),
    ...data(recipe),
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

function aims({ phases }: Recipe): Problem[] {
  return phases.flatMap(({ objectives }, i) => {
    if (Object.values(objectives).some((own) => own !== undefined)) return [];
    const known = Object.keys(objectivesSchema.shape).join(', ');
    const message = `phases.${i}.objectives names none; at least one is allowed: ${known}`;
    return [{ fields: [`phases.${i}.objectives`], message }];
  });
}

function towers(recipe: Recipe): Problem[] {
  const { vision, text } = recipe.model;
  const problems: Problem[] = [];
  if (typeof vision.size === 'object' && text.size === undefined) {
    const message = 'model.text.size is missing; needed when model.vision.size is given as numbers';
    problems.push({ fields: ['model.text.size', 'model.vision.size'], message });
  }
  for (const [name, size] of Object.entries({ vision: vision.size, text: text.size })) {
    if (typeof size !== 'object' || size.width % size.heads === 0) continue;
    const field = `model.${name}.size`;
    const message = `${field}.heads is ${size.heads}; a divisor of the width ${size.width} is allowed`;
    problems.push({ fields: [field, `${field}.heads`, `${field}.width`], message });
  }
  if (vision.patch > vision.resolution) {
    const message = `model.vision.patch is ${vision.patch}; at most the resolution ${vision.resolution} is allowed`;
    problems.push({ fields: ['model.vision.patch', 'model.vision.resolution'], message });
  }
  if (problems.length > 0) return problems;
  const known = parameterSpecs(modelConfig(recipe, null)).map(({ name }) => name);
  for (const name of Object.keys(recipe.optimizer.multipliers)) {
    if (known.includes(name)) continue;
    const near = nearestName(name, known);
    const message = `optimizer.multipliers names ${JSON.stringify(name)}; a parameter of the model is allowed, such as ${near ?? 'logit_bias'}`;
    problems.push({ fields: [`optimizer.multipliers.${name}`], message });
  }
  return problems;
}

/** What a phase makes of the vision tower's input. */
function inputs(recipe: Recipe): Problem[] {
  const { vision, text } = recipe.model;
  if (typeof vision.size === 'object' && text.size === undefined) return [];
  return recipe.phases.flatMap((phase, i) => {
    const { patch, resolution, kind } = modelConfig(recipe, null, phase).vision;
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

function lengths(recipe: Recipe, epoch: number | undefined): Problem[] {
  const problems: Problem[] = [];
  const { schedule } = recipe;
  const batch = recipe.phases[0]!.batch;
  if ('percent' in schedule.total) {
    const message = 'schedule.total is in percent; percents are of it, so steps, examples or epochs are allowed';
    return [{ fields: ['schedule.total'], message }];
  }
  const { total, warmup, windows } = recipeLengths(recipe, epoch);
  const said = JSON.stringify(schedule.total);
  if (total !== null && total < batch) {
    const message = `schedule.total is ${said}; at least one step of ${batch} examples is allowed`;
    return [{ fields: ['schedule.total'], message }];
  }
  if (total !== null && warmup !== null && warmup >= total) {
    const message = `schedule.warmup is ${JSON.stringify(schedule.warmup)}; less than schedule.total ${said} is allowed`;
    problems.push({ fields: ['schedule.warmup', 'schedule.total'], message });
  }
  for (const [i, { from, to }] of windows.entries()) {
    const phase = recipe.phases[i]!;
    const parent = parentOf(recipe, phase);
    const above = parent && windows[recipe.phases.indexOf(parent)];
    const field = `phases.${i}.window`;
    const shown = JSON.stringify(phase.window);
    const add = (end: string, allowed: string) =>
      problems.push({ fields: [`${field}.${end}`, 'schedule.total'], message: `${field} is ${shown}; ${allowed}` });
    if (phase.from === undefined && from !== null && from !== 0) add('from', 'a phase from scratch starts at 0');
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
    else if (to !== null && total !== null && to > total) add('to', `an end within schedule.total ${said} is allowed`);
  }
  return problems;
}

function data(recipe: Recipe): Problem[] {
  const problems: Problem[] = [];
  const { train, evaluation, captions, augment } = recipe.data;
  for (const place of placesOf(train)) {
    if (evaluation === undefined) continue;
    if (`${evaluation}/`.startsWith(`${place}/`)) {
      const message = `data.evaluation is "${evaluation}"; a prefix outside of data.train "${place}" is allowed, since it must not be trained on`;
      problems.push({ fields: ['data.evaluation', 'data.train'], message });
    } else if (`${place}/`.startsWith(`${evaluation}/`)) {
      const message = `data.evaluation is "${evaluation}"; it holds data.train "${place}", and must not be trained on`;
      problems.push({ fields: ['data.evaluation', 'data.train'], message });
    }
  }
  const places = placesOf(train);
  places.forEach((place, i) => {
    if (!places.some((other, j) => i !== j && `${place}/`.startsWith(`${other}/`) && (place !== other || j < i)))
      return;
    const message = `data.train names "${place}" twice, or within another of its places; each once is allowed`;
    problems.push({ fields: ['data.train'], message });
  });
  captions.forEach(({ language }, i) => {
    if (captions.findIndex((other) => other.language === language) === i) return;
    const message = `data.captions.${i}.language is "${language}" again; each language once is allowed`;
    problems.push({ fields: [`data.captions.${i}.language`], message });
  });
  if (augment.scale[0] > augment.scale[1]) {
    const message = `data.augment.scale is ${JSON.stringify(augment.scale)}; [smallest, largest] is allowed`;
    problems.push({ fields: ['data.augment.scale'], message });
  }
  return problems;
}
