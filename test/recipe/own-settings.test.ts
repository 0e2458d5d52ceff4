import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { scheduleFactor } from '../../src/recipe/schedule.ts';
import { modelConfig, phaseSettings, schedule } from '../../src/recipe/settings.ts';
import { phaseSpans, stepsOf } from '../../src/recipe/spans.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';

// biome-ignore lint/suspicious/noExplicitAny: recipes as people write them, with mistakes.
type Written = any;

const sizes = { width: 64, depth: 1, mlp: 128, heads: 2 };
const large = { width: 256, depth: 2, mlp: 512, heads: 4 };

/** A student, a larger teacher that is fine-tuned on other data, and the student again on what the teacher scores. */
function written(): Written {
  const emoji = JSON.parse(readFileSync(new URL('../../infra/recipes/emoji.json', import.meta.url), 'utf8'));
  return {
    ...emoji,
    model: { vision: { size: sizes, patch: 8, resolution: 32 }, text: { size: sizes, length: 16 } },
    data: {
      train: 'data/noisy',
      evaluation: 'data/emoji/held-out',
      captions: [{ language: 'en', weight: 1 }],
      labelShare: 1,
    },
    schedule: { total: { steps: 100 }, warmup: { steps: 10 } },
    phases: [
      { name: 'student', batch: 32 },
      {
        name: 'teacher',
        batch: 64,
        model: { vision: { size: large, patch: 8, resolution: 48 }, text: { size: large, length: 24 } },
        schedule: { total: { steps: 40 }, warmup: { percent: 10 } },
      },
      {
        name: 'curated',
        from: 'teacher',
        batch: 64,
        data: { train: 'data/clean', labelShare: 0.5 },
        schedule: { total: { epochs: 2 }, shape: 'constant' },
        optimizer: { learningRate: 0.0001 },
      },
      {
        name: 'acid',
        from: 'student',
        batch: 32,
        schedule: { total: { examples: 3200 } },
        optimizer: { learningRate: 0.00001, weightDecay: 0 },
        curation: { teacher: 'curated', filterRatio: 0.75 },
      },
      { name: 'after', from: 'acid', batch: 32, window: { from: { percent: 50 } } },
    ],
  };
}

const facts = { examples: 10_000, phaseExamples: { curated: 640 }, vocabulary: null };

describe('a phase with a schedule of its own', () => {
  const recipe = parseRecipe(written());
  const phase = (name: string) => recipe.phases.find((one) => one.name === name)!;

  it('begins at the end of the phase that it goes on from, and covers all of its schedule', () => {
    const spans = phaseSpans(recipe, facts);
    expect(spans.map(({ from, to }) => [from.step, to.step])).toEqual([
      [0, 100],
      [0, 40],
      [40, 60],
      [100, 200],
      [150, 200],
    ]);
    expect(spans[3]!.from.examples).toBe(3200);
    expect(spans[3]!.to.examples).toBe(6400);
    expect(spans[3]!.branches).toEqual([150]);
    expect(spans[4]!.from.examples).toBe(3200 + 50 * 32);
  });

  it('warms up and falls within it; constant stays at one', () => {
    const teacher = schedule(recipe, phase('teacher'), facts);
    expect(teacher).toEqual({ total: 40 * 64, warmup: 4 * 64 });
    expect(scheduleFactor(2 * 64, teacher)).toBeCloseTo(0.5, 12);
    const curated = schedule(recipe, phase('curated'), facts);
    expect(curated.total).toBe(1280);
    for (const step of [40, 50, 60]) expect(scheduleFactor(step * 64, curated)).toBe(1);
    const acid = schedule(recipe, phase('acid'), facts);
    expect(scheduleFactor(3200, acid)).toBe(1);
    expect(scheduleFactor(3200 + 1600, acid)).toBeCloseTo(0.5, 12);
    expect(scheduleFactor(6400, acid)).toBeCloseTo(0, 12);
    expect(scheduleFactor(3200 + 1600, schedule(recipe, phase('after'), facts))).toBeCloseTo(0.5, 12);
  });
});

describe('a phase with a model, data and rates of its own', () => {
  const recipe = parseRecipe(written());
  const settings = recipe.phases.map((phase) => phaseSettings(recipe, phase, facts));

  it('hands its model on to those that go on from it, and to no other', () => {
    const widths = recipe.phases.map((phase) => modelConfig(recipe, null, phase).vision.width);
    expect(widths).toEqual([64, 256, 256, 64, 64]);
    expect(settings.map(({ batches }) => [batches.resolution, batches.textLength])).toEqual([
      [32, 16],
      [48, 24],
      [48, 24],
      [32, 16],
      [32, 16],
    ]);
  });

  it('has what it does not say from the recipe, and keeps what it says to itself', () => {
    expect(settings.map(({ batches }) => batches.data.train)).toEqual([
      'data/noisy',
      'data/noisy',
      'data/clean',
      'data/noisy',
      'data/noisy',
    ]);
    expect(settings[2]!.batches.data).toMatchObject({ labelShare: 0.5, captions: [{ language: 'en', weight: 1 }] });
    expect(settings.map(({ optimizer }) => optimizer.learningRate)).toEqual([0.0015, 0.0015, 0.0001, 0.00001, 0.0015]);
    expect(settings[3]!.optimizer.weightDecay).toBe(0);
  });
});

describe('whether XLA compiles the steps', () => {
  it('is part of the settings only where the recipe says so', () => {
    const settings = (xla?: string) => {
      const recipe = parseRecipe({ ...written(), ...(xla && { xla }) });
      return phaseSettings(recipe, recipe.phases[0]!, facts);
    };
    expect(settings()).not.toHaveProperty('xla');
    expect(settings('auto')).toEqual(settings());
    expect([settings('on').xla, settings('off').xla]).toEqual(['on', 'off']);
    expect(() => settings('yes')).toThrow('xla is "yes"; allowed: one of "off", "on", "auto"');
  });
});

describe('a super-batch', () => {
  it('is batch / (1 - filterRatio), one after another, while examples trained on are counted', () => {
    const recipe = parseRecipe(written());
    const steps = stepsOf(recipe, recipe.phases[3]!);
    expect(steps.at(0)).toEqual({ first: 0, count: 128, length: null });
    expect(steps.at(7)).toEqual({ first: 896, count: 128, length: null });
    expect(steps.seenBefore(7)).toBe(7 * 32);
    expect(steps.within(3200)).toBe(100);
    expect(steps.shapes()).toEqual([{ count: 32, length: null }]);
  });
});

describe('what a phase of curation is known by', () => {
  const settingsWith = (change: object) => {
    const recipe = written();
    Object.assign(recipe.phases[3].curation, change);
    const parsed = parseRecipe(recipe);
    return phaseSettings(parsed, parsed.phases[3]!, facts).curation;
  };

  it('is what it was before choices could overlap steps, unless they do', () => {
    const before = { chunks: 16, scores: 'learnability', joint: true, scoring: 'stored', dtype: 'bf16' };
    expect(settingsWith({})).toStrictEqual(before);
    expect(settingsWith({ overlap: false })).toStrictEqual(before);
    expect(settingsWith({ overlap: true })).toStrictEqual({ ...before, overlap: true });
    expect(Object.keys(parseRecipe(written()).phases[3]!.curation!)).not.toContain('overlap');
  });
});

describe('a recipe of curation with mistakes', () => {
  function problemOf(change: (recipe: Written) => void): string {
    const recipe = written();
    change(recipe);
    try {
      parseRecipe(recipe);
    } catch (error) {
      if (isRunnerError(error, 'RecipeInvalid')) return error.message;
      throw error;
    }
    return 'no problem';
  }

  it.each<[string, (recipe: Written) => void, RegExp]>([
    ['a teacher that comes later', (r) => (r.phases[3].curation.teacher = 'after'), /teacher is "after"; an earlier/],
    ['a ratio that leaves out nothing', (r) => (r.phases[3].curation.filterRatio = 0.01), /filterRatio is 0.01; one/],
    ['more chunks than examples', (r) => (r.phases[3].curation.chunks = 64), /chunks is 64; at most the batch 32/],
    [
      'another objective',
      (r) => (r.phases[3].objectives = { sigmoid: 1, captioning: {} }),
      /captioning is on; a phase/,
    ],
    ['texts that change', (r) => (r.data.labelShare = 0.5), /labelShare is 0.5; .* 1 is allowed/],
    [
      'templates of texts',
      (r) => (r.data.read = { captions: 'txt', draw: 'first', templates: ['a photo of {}'] }),
      /templates is given; with "scoring": "stored" .* texts without templates are allowed/,
    ],
    [
      'several fields',
      (r) => (r.data.read = { captions: 'json', draw: 'first', fields: [{ field: 'alt' }, { field: 're' }] }),
      /fields is of several fields; .* one field is allowed/,
    ],
    ['crops that change', (r) => (r.data.augment = { scale: [0.8, 1] }), /augment is .*"stored"/],
    [
      'any language',
      (r) => (r.data.captions = [{ language: 'other', weight: 1 }]),
      /captions is with "other"; .* named/,
    ],
    [
      'texts of another length online',
      (r) => (r.phases[3].curation.scoring = 'online'),
      /scoring is "online"; texts of 16/,
    ],
    [
      'a model that comes after another',
      (r) => (r.phases[2].model = r.phases[1].model),
      /phases.curated.model is given, and phase/,
    ],
    [
      'a window into another schedule',
      (r) => (r.phases[3].window = { from: { percent: 5 } }),
      /of its own starts at 0/,
    ],
    [
      'a schedule in percent of itself',
      (r) => (r.phases[3].schedule.total = { percent: 5 }),
      /phases.acid.schedule.total/,
    ],
    [
      'data that is evaluated on',
      (r) => (r.phases[2].data.train = 'data/emoji'),
      /outside of phases.curated.data.train/,
    ],
    ['naflex', (r) => (r.phases[3].vision = { naflex: {} }), /curation is given; a phase of NaFlex/],
  ])('%s is named', (_, change, message) => {
    expect(problemOf(change)).toMatch(message);
  });
});
