import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type HeldModel, modelProblems, withModels } from '../../src/recipe/models.ts';
import { parseRecipe, problemsWith } from '../../src/recipe/parse.ts';
import { modelConfig, phaseSettings } from '../../src/recipe/settings.ts';

const emoji = JSON.parse(readFileSync(new URL('../../infra/recipes/emoji.json', import.meta.url), 'utf8'));
const tower = { width: 384, depth: 6, mlp: 1536, heads: 6 };
const base: HeldModel = {
  name: 'base/import@0',
  model: {
    vision: { ...tower, patch: 16, resolution: 224 },
    text: { ...tower, length: 64, vocabulary: 256_000 },
  },
  vocabulary: null,
};
const held = new Map([['tune', base]]);

/** A recipe that goes on from base/import, with changes to its model and its phase. */
function tuned(model: object | undefined, phase: object = {}) {
  const { model: _, ...rest } = emoji;
  const from = { run: 'base', phase: 'import' };
  return parseRecipe({ ...rest, ...(model && { model }), phases: [{ name: 'tune', batch: 8, from, ...phase }] });
}
const said = (vision: object, text: object, input: object = {}) => ({
  vision: { size: { ...tower, ...vision }, patch: 16, resolution: 224, ...input },
  text: { size: { ...tower, ...text }, length: 64 },
});
const messages = (recipe: ReturnType<typeof tuned>, of = held) =>
  modelProblems(recipe, of).map(({ message }) => message);

describe('a phase that goes on from a checkpoint of another run', () => {
  it('has the model of it where the recipe says none', () => {
    const recipe = withModels(tuned(undefined, { vision: { resolution: 256 } }), held);
    expect(modelConfig(recipe, null, recipe.phases[0])).toEqual({
      vision: { ...tower, patch: 16, resolution: 256 },
      text: { ...tower, length: 64, vocabulary: 256_000 },
    });
    expect(modelProblems(tuned(undefined), held)).toEqual([]);
    expect(problemsWith(recipe, { examples: 100 })).toEqual([]);
  });

  it('trains as the recipe that says the same model does, and by the weights of a size that has a name', () => {
    const B = { width: 768, depth: 12, mlp: 3072, heads: 12 };
    const model = { vision: { ...B, patch: 16, resolution: 224 }, text: { ...B, length: 64, vocabulary: 256_000 } };
    const of = new Map([['tune', { ...base, model }]]);
    const phase = { objectives: { sigmoid: 1, localToGlobal: {} } };
    const settings = (recipe: ReturnType<typeof tuned>) =>
      phaseSettings(recipe, recipe.phases[0]!, { examples: 100, vocabulary: null });
    const left = settings(withModels(tuned(undefined, phase), of));
    const named = settings(tuned({ vision: { size: 'B', patch: 16, resolution: 224 }, text: {} }, phase));
    expect(left).toEqual(named);
    expect(left.objectives.localToGlobal?.weight).toBe(0.25);
  });

  it('is refused with all that is otherwise in the model that the recipe says, field by field', () => {
    const recipe = tuned(said({ depth: 5, heads: 12 }, { depth: 7, width: 256, heads: 4 }, { patch: 32 }));
    expect(messages(recipe)).toEqual([
      'model.vision.depth is 5, and base/import@0, which phase tune goes on from, has 6; 6 is allowed',
      'model.vision.heads is 12, and base/import@0, which phase tune goes on from, has 6; 6 is allowed',
      'model.vision.patch is 32, and base/import@0, which phase tune goes on from, has 16; 16 is allowed, or "vision": {"patch": 32} in the phase, which resamples it',
      'model.text.width is 256, and base/import@0, which phase tune goes on from, has 384; 384 is allowed',
      'model.text.depth is 7, and base/import@0, which phase tune goes on from, has 6; 6 is allowed',
      'model.text.heads is 4, and base/import@0, which phase tune goes on from, has 6; 6 is allowed',
    ]);
    const short = { ...said({}, {}), text: { size: tower, length: 32 } };
    expect(messages(tuned(short))).toEqual([expect.stringMatching(/^model.text.length is 32, .* has 64; 64 is/)]);
    expect(messages(tuned(said({}, {})))).toEqual([]);
  });

  it('may read longer texts by its text, and goes on so', () => {
    const text = { length: 248 };
    const recipe = withModels(tuned(undefined, { text }), held);
    const settings = phaseSettings(recipe, recipe.phases[0]!, { examples: 100, vocabulary: null });
    expect(settings).toMatchObject({ textPositions: 'beginning', batches: { textLength: 248 } });
    const next = { ...recipe.phases[0]!, name: 'next', from: 'tune', text: undefined, model: undefined };
    const two = { ...recipe, phases: [...recipe.phases, next] };
    const after = phaseSettings(two, next, { examples: 100, vocabulary: null });
    expect(after.model.text.length).toBe(248);
    expect(after.textPositions).toBeUndefined();
    const long = { ...said({}, {}), text: { size: tower, length: 248 } };
    expect(messages(tuned(long))).toEqual([
      expect.stringMatching(/^model.text.length is 248, .* has 64; 64 is allowed, or "text": \{"length": 248\} in the/),
    ]);
    expect(messages(tuned(long, { text }))).toEqual([]);
    const shorter = withModels(tuned(undefined, { text: { length: 32 } }), held);
    expect(problemsWith(shorter, { examples: 100 }).map(({ message }) => message)).toEqual([
      'phases.tune.text has a length of 32, and it was 64 before; at least that is allowed',
    ]);
  });

  it('may resample by its vision, and turn to NaFlex but not back', () => {
    const resized = said({}, {}, { resolution: 256 });
    expect(messages(tuned(resized))).toEqual([
      expect.stringMatching(/or "vision": \{"resolution": 256\} in the phase/),
    ]);
    expect(messages(tuned(resized, { vision: { resolution: 256 } }))).toEqual([]);
    expect(messages(tuned(undefined, { vision: { naflex: {} } }))).toEqual([]);
    const model = { ...base.model, vision: { ...base.model.vision, kind: 'naflex' as const } };
    const naflex = new Map([['tune', { ...base, model }]]);
    expect(messages(tuned(undefined), naflex)).toEqual([
      'phases.0.vision says no naflex, and base/import@0, which phase tune goes on from, is a NaFlex model; "vision": {"naflex": {}} is allowed',
    ]);
    expect(messages(tuned(undefined, { vision: { naflex: {} } }), naflex)).toEqual([]);
  });

  it('goes on with a compacted token table, and may say another', () => {
    const compact = new Map([['tune', { ...base, vocabulary: [0, 1, 3, 9] }]]);
    const withTable = (vocabulary: string) => {
      const model = said({}, {});
      return tuned({ ...model, text: { ...model.text, vocabulary } });
    };
    for (const vocabulary of ['full', 'compact'])
      for (const held of [compact, undefined]) expect(messages(withTable(vocabulary), held)).toEqual([]);
    const left = withModels(tuned(undefined), compact);
    expect(left.phases[0]!.model?.text.vocabulary).toBe('compact');
  });
});
