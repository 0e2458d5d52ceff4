import { adaptedLayers, adapterSpecs } from '../model/adapters.ts';
import { decoderSpecs } from '../model/decoder-parameters.ts';
import { dinoHeadSpecs, headOf, maskToken } from '../model/dino-head-parameters.ts';
import { isMeant, partNames } from '../model/parameter-parts.ts';
import { parameterSpecs } from '../model/parameters.ts';
import { keptProblems } from './kept-checks.ts';
import { nearestName } from './nearest.ts';
import { halfDepth } from './objectives.ts';
import type { Problem } from './problem.ts';
import type { Phase, Recipe } from './schema.ts';
import { modelConfig, optimizerOf } from './settings.ts';
import { isFrozen } from './trained.ts';

/** The names of all parameters of a phase, those of its objectives among them. Its model has to be known. */
function parameterNames(recipe: Recipe, phase: Phase): string[] {
  const model = modelConfig(recipe, null, phase);
  const { captioning, localToGlobal, maskedPrediction } = phase.objectives;
  const head = (objective: keyof typeof headOf) =>
    dinoHeadSpecs(headOf[objective], 1, { hidden: 1, bottleneck: 1, prototypes: 1 });
  const specs = [
    ...parameterSpecs(model),
    ...(phase.lora ? adapterSpecs(model, { ...phase.lora, alpha: 1 }) : []),
    ...(captioning ? decoderSpecs(model, { depth: captioning.depth ?? halfDepth(model.text) }) : []),
    ...(localToGlobal ? head('localToGlobal') : []),
    ...(maskedPrediction ? head('maskedPrediction') : []),
  ];
  return [...specs.map(({ name }) => name), ...(maskedPrediction ? [maskToken] : [])];
}

/** What phases say of what is trained, held against the parameters that there are. All models have to be known. */
export function trainedProblems(recipe: Recipe): Problem[] {
  const names = new Map(recipe.phases.map((phase) => [phase, parameterNames(recipe, phase)]));
  const all = [...new Set([...names.values()].flat())];
  return [
    ...meantProblems(Object.keys(recipe.optimizer.multipliers), all, (key) => [
      `optimizer.multipliers.${key}`,
      `optimizer.multipliers names ${JSON.stringify(key)}`,
    ]),
    ...recipe.phases.flatMap((phase, i) => ofPhase(recipe, phase, `phases.${i}`, names.get(phase)!)),
  ];
}

function ofPhase(recipe: Recipe, phase: Phase, at: string, names: readonly string[]): Problem[] {
  const named = (field: 'train' | 'freeze') =>
    meantProblems(phase[field] ?? [], names, (selector) => [
      `${at}.${field}`,
      `${at}.${field} names ${JSON.stringify(selector)}`,
    ]);
  const problems = [
    ...named('train'),
    ...named('freeze'),
    ...meantProblems(Object.keys(phase.optimizer?.multipliers ?? {}), names, (key) => [
      `${at}.optimizer.multipliers.${key}`,
      `${at}.optimizer.multipliers names ${JSON.stringify(key)}`,
    ]),
  ];
  const choice = {
    ...(phase.train && { train: phase.train }),
    ...(phase.freeze && { freeze: phase.freeze }),
    ...(phase.lora && { lora: { ...phase.lora, alpha: 1 } }),
    optimizer: optimizerOf(recipe, phase),
  };
  const adapters = adapterProblems(recipe, phase, at);
  if (adapters.length > 0) return [...problems, ...adapters];
  if (problems.length > 0) return problems;
  const fields = [`${at}.train`, `${at}.freeze`];
  const isLeft = (name: string) => !isFrozen(choice, name);
  if (!names.some(isLeft)) {
    const message = `${at} trains nothing: train, freeze and multipliers of 0 leave no parameter; at least one has to be left`;
    return [{ fields, message }];
  }
  if (phase.ema && phase.replicas) {
    const message = `${at}.ema is kept by one worker; no replicas beside it are allowed, leave one of them out`;
    return [{ fields: [`${at}.ema`, `${at}.replicas`], message }];
  }
  if (phase.replicas?.negatives === 'bank' && !names.some((name) => name.startsWith('vision_model.') && isLeft(name))) {
    const field = `${at}.replicas.negatives`;
    const message = `${field} is "bank", which teaches images alone, and the phase trains nothing of the image tower; allowed: "reweighted" or "local"`;
    return [{ fields: [field, ...fields], message }];
  }
  return keptProblems(
    recipe,
    phase,
    at,
    names.find((name) => name.startsWith('vision_model.') && isLeft(name)),
  );
}

/** What adapters ask for that the towers, or the rest of the phase, can't give. */
function adapterProblems(recipe: Recipe, phase: Phase, at: string): Problem[] {
  const { lora, train, freeze, objectives } = phase;
  if (!lora) return [];
  const problem = (field: string, message: string, ...more: string[]): Problem[] => [
    { fields: [`${at}.${field}`, ...more.map((other) => `${at}.${other}`)], message: `${at}.${field} ${message}` },
  ];
  const beside = train ? 'train' : freeze ? 'freeze' : null;
  if (beside)
    return problem(
      'lora',
      `trains adapters alone; no ${beside} beside it is allowed, only lora.in and lora.targets`,
      beside,
    );
  const other = (Object.keys(objectives) as (keyof typeof objectives)[]).find(
    (name) => name !== 'sigmoid' && name !== 'hardNegatives' && objectives[name] !== undefined,
  );
  if (other)
    return problem(
      'lora',
      `trains adapters of the towers alone; ${other} needs more, and sigmoid and hardNegatives alone are allowed`,
    );
  if (phase.replicas) return problem('lora', 'is trained by one worker; no replicas beside it are allowed', 'replicas');
  if (optimizerOf(recipe, phase).startDecay !== undefined)
    return problem(
      'lora',
      'leaves the weights as they are, so that startDecay has nothing to pull back; leave one of them out',
      'optimizer.startDecay',
    );
  const model = modelConfig(recipe, null, phase);
  for (const place of lora.in) {
    if (adaptedLayers(model, { ...lora, in: [place] }).length > 0) continue;
    const depths = `imageBlocks.0-${model.vision.depth - 1} and textBlocks.0-${model.text.depth - 1}`;
    return problem(
      'lora.in',
      `names ${JSON.stringify(place)}, where no block has ${lora.targets.join(' or ')}; allowed are vision, text, and blocks of ${depths}`,
    );
  }
  const sides = adaptedLayers(model, lora).map(({ layer, shape }) => [layer, Math.min(...shape)] as const);
  const [layer, narrowest] = sides.reduce((least, one) => (one[1] < least[1] ? one : least));
  if (lora.rank <= narrowest) return [];
  return problem('lora.rank', `is ${lora.rank}, and ${layer} is ${narrowest} wide; at most ${narrowest} is allowed`);
}

/** Selectors that mean no parameter. `said`: the field of one, and how the sentence about it begins. */
function meantProblems(
  selectors: readonly string[],
  names: readonly string[],
  said: (selector: string) => readonly [field: string, beginning: string],
): Problem[] {
  return selectors.flatMap((selector) => {
    if (names.some((name) => isMeant(selector, name))) return [];
    const [field, beginning] = said(selector);
    const parts = [...partNames, 'vision', 'text'].filter((part) => names.some((name) => isMeant(part, name)));
    const near = nearestName(selector, [...parts, ...names]);
    const such = near ?? `${parts.slice(0, 3).join(', ')} or "*.mlp.*"`;
    return [{ fields: [field], message: `${beginning}; what means a parameter is allowed, such as ${such}` }];
  });
}
