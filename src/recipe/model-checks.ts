import { squareObjectives } from './objectives.ts';
import type { Problem } from './problem.ts';
import type { Recipe, RecipeModel } from './schema.ts';
import { modelConfig, writtenModel } from './settings.ts';
import { trainedProblems } from './trained-checks.ts';

/** The model of the recipe, and those of single phases. */
export function modelProblems(recipe: Recipe): Problem[] {
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
export function inputProblems(recipe: Recipe): Problem[] {
  return recipe.phases.flatMap((phase, i) => {
    const written = writtenModel(recipe, phase);
    if (!written || !isSized(written)) return [];
    const { vision, text } = modelConfig(recipe, null, phase);
    const { patch, resolution, kind } = vision;
    if (phase.text && phase.from === undefined)
      return textProblem(
        i,
        `is of a phase that goes on from another; model.text.${phase.text.length === undefined ? 'addedTokens' : 'length'} is allowed in one from scratch`,
      );
    if (phase.text && phase.text.length === undefined && !phase.text.addedTokens)
      return textProblem(i, 'has neither length nor addedTokens; one of them is allowed, or no text');
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
