import { describe, expect, it } from 'vitest';
import { type HeldModel, modelProblems, teacherProblems, withModels } from '../../src/recipe/models.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { modelConfig, phaseSettings } from '../../src/recipe/settings.ts';

const model = { vision: { size: 'mu', patch: 4, resolution: 8 }, text: { length: 8 } };
const facts = { examples: 100, vocabulary: null };

/** A recipe of these phases, each after the one before. */
function recipeOf(phases: readonly object[], own: object = {}) {
  return parseRecipe({
    version: 1,
    model,
    data: { train: 'data/tiny' },
    schedule: { total: { steps: 100 } },
    phases: phases.map((phase, i) => ({
      ...{ name: `p${i}`, batch: 4, window: { to: { percent: 20 * (i + 1) } } },
      ...(i > 0 && { from: `p${i - 1}` }),
      ...phase,
    })),
    ...own,
  });
}
const added = (...addedTokens: string[]) => ({ text: { addedTokens } });

describe('tokens that a phase adds', () => {
  it('come after those of before, in its model and all that go on from it, and in none beside them', () => {
    const recipe = recipeOf([{}, added('<sku>', 'Ṣaḥīḥ'), {}, added('zyxxyz'), { from: 'p0' }]);
    const settings = recipe.phases.map((phase) => phaseSettings(recipe, phase, facts));
    const tokens = [undefined, ['<sku>', 'Ṣaḥīḥ'], ['<sku>', 'Ṣaḥīḥ'], ['<sku>', 'Ṣaḥīḥ', 'zyxxyz'], undefined];
    expect(settings.map(({ model }) => model.text.addedTokens)).toEqual(tokens);
    expect(settings.map(({ batches }) => batches.addedTokens)).toEqual(tokens);
    expect(settings.map(({ model }) => model.text.vocabulary)).toEqual([256_000, 256_002, 256_002, 256_003, 256_000]);
    expect(settings.map(({ tokensAdded }) => tokensAdded)).toEqual([undefined, 2, undefined, 1, undefined]);
    // Positions stay as they are.
    expect(settings.map(({ textPositions }) => textPositions)).toEqual(new Array(5).fill(undefined));
    expect(Object.keys(settings[0]!.model.text)).not.toContain('addedTokens');
  });

  it('may be those of a model from scratch', () => {
    const recipe = recipeOf([{}], { model: { ...model, text: { length: 8, addedTokens: ['<sku>'] } } });
    const { model: own, tokensAdded } = phaseSettings(recipe, recipe.phases[0]!, facts);
    expect([own.text.vocabulary, tokensAdded]).toEqual([256_001, undefined]);
  });

  it.each<[object[], string | RegExp]>([
    [[{}, added('')], /phases.p1.text.addedTokens.0 is ""/],
    [[{}, { text: { addedTokens: [] } }], /phases.p1.text.addedTokens is \[\]/],
    [[{}, added('x'.repeat(65))], /phases.p1.text.addedTokens.0 is "x+/],
    [[{}, added(...Array.from({ length: 1001 }, (_, i) => `<w${i}>`))], /phases.p1.text.addedTokens is \[/],
    [[{}, { text: {} }], 'phases.p1.text has neither length nor addedTokens; one of them is allowed, or no text'],
    [
      [{}, added('new york')],
      'phases.p1.text.addedTokens has "new york", with white space, or ▁, which stands for it; a token without is allowed',
    ],
    [[{}, added('▁york')], /with white space, or ▁/],
    [
      [{}, added('a\u0007b')],
      'phases.p1.text.addedTokens has "a\\u0007b", with a control character or half of a character; a token without is allowed',
    ],
    [[{}, added('x\ud800')], /with a control character or half of a character/],
    [
      [{}, added('a<EOS>')],
      'phases.p1.text.addedTokens has "a<EOS>", with <eos> in it, which has a meaning of its own; a token without is allowed',
    ],
    [
      [{}, added('<sku>', '<sku>')],
      'phases.p1.text.addedTokens has "<sku>", which the model has already; each once is allowed',
    ],
    [
      [{}, added('<sku>'), added('<SKU>')],
      'phases.p2.text.addedTokens has "<SKU>", which is read as "<sku>" is, since texts are lower-cased; one of them is allowed',
    ],
    [
      [
        {},
        added(...Array.from({ length: 600 }, (_, i) => `<a${i}>`)),
        added(...Array.from({ length: 600 }, (_, i) => `<b${i}>`)),
      ],
      'phases.p2.text.addedTokens makes 1200 added tokens of the model; at most 1000 are allowed',
    ],
    [
      [added('<sku>')],
      'phases.p0.text is of a phase that goes on from another; model.text.addedTokens is allowed in one from scratch',
    ],
    [
      [{}, added('<sku>'), { objectives: { sigmoid: 1, captioning: {} } }],
      'phases.p2.objectives.captioning is of a phase whose model has added tokens; a phase without a decoder is allowed there',
    ],
    [[{}, { ...added('<sku>'), lora: { rank: 4 } }], /phases.p1.lora is of a phase whose model has added tokens/],
  ])('are refused in one sentence: %#', (phases, said) => {
    expect(() => recipeOf(phases)).toThrow(said);
  });

  it('are refused where the table is compacted', () => {
    const compact = { model: { ...model, text: { length: 8, vocabulary: 'compact' } } };
    expect(() => recipeOf([{}, added('<sku>')], compact)).toThrow(
      'model.text.vocabulary is of a phase whose model has added tokens; "full" is allowed there',
    );
  });
});

describe('a checkpoint of another run whose model has added tokens', () => {
  const base: HeldModel = {
    name: 'base/words@9',
    model: modelConfig(recipeOf([{}, added('<sku>')]), null, recipeOf([{}, added('<sku>')]).phases[1]),
    vocabulary: null,
  };
  const held = new Map([['p0', base]]);
  const from = { run: 'base', phase: 'words' };

  it('hands them on to a phase that leaves the model to it, which may add others', () => {
    const recipe = withModels(recipeOf([{ from, ...added('zyxxyz') }], { model: undefined }), held);
    const { model: own, tokensAdded } = phaseSettings(recipe, recipe.phases[0]!, facts);
    expect(own.text).toMatchObject({ addedTokens: ['<sku>', 'zyxxyz'], vocabulary: 256_002 });
    expect(tokensAdded).toBe(1);
    expect(modelProblems(recipe, held)).toEqual([]);
  });

  it('is refused by a recipe that says another model, and may not score', () => {
    expect(modelProblems(recipeOf([{ from }]), held).map(({ message }) => message)).toEqual([
      'model.text.addedTokens is [], and base/words@9, which phase p0 goes on from, has ["<sku>"]; ["<sku>"] is allowed',
    ]);
    const curated = recipeOf([{ curation: { scoring: 'stored', teacher: from, chunks: 2 }, data: { labelShare: 1 } }]);
    expect(teacherProblems(curated, curated.phases[0]!, base.model).map(({ message }) => message)).toEqual([
      'phase p0 is scored by a teacher that has added tokens; one without is allowed',
    ]);
  });
});
