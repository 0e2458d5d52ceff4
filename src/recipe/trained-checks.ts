import { decoderSpecs } from '../model/decoder-parameters.ts';
import { dinoHeadSpecs, headOf, maskToken } from '../model/dino-head-parameters.ts';
import { isMeant, partNames } from '../model/parameter-parts.ts';
import { parameterSpecs } from '../model/parameters.ts';
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
    optimizer: optimizerOf(recipe, phase),
  };
  if (problems.length > 0 || !names.every((name) => isFrozen(choice, name))) return problems;
  const message = `${at} trains nothing: train, freeze and multipliers of 0 leave no parameter; at least one has to be left`;
  return [{ fields: [`${at}.train`, `${at}.freeze`], message }];
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
