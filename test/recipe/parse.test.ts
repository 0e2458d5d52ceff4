import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { recipeJsonSchema } from '../../src/recipe/allowed.ts';
import { parseRecipe, problemsWith } from '../../src/recipe/parse.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';

const folder = new URL('../../infra/recipes/', import.meta.url);
const read = (file: string) => JSON.parse(readFileSync(new URL(file, folder), 'utf8'));

// biome-ignore lint/suspicious/noExplicitAny: a person may write anything
type Written = any;

/** Writes a value into a recipe; undefined removes the field. */
const set = (path: string, value: unknown) => (recipe: Written) => {
  const parts = path.split('.');
  const owner = parts.slice(0, -1).reduce((here, part) => here[part], recipe);
  owner[parts.at(-1)!] = value;
  return JSON.parse(JSON.stringify(recipe));
};

function problemsOf(change: (recipe: Written) => unknown, data?: number): string[] {
  const recipe = read('emoji.json');
  const written = change(recipe) ?? recipe;
  try {
    const parsed = parseRecipe(written);
    return data === undefined ? [] : problemsWith(parsed, { examples: data }).map(({ message }) => message);
  } catch (error) {
    if (!isRunnerError(error, 'RecipeInvalid')) throw error;
    const { problems } = error.details as { problems: { message: string }[] };
    for (const { message } of problems) expect(error.message).toContain(message);
    return problems.map(({ message }) => message);
  }
}

describe('a recipe with mistakes', () => {
  it('gets all of them in one answer, each with field, value and what is allowed', () => {
    const problems = problemsOf((recipe) => {
      recipe.phases[0].batch = 1;
      recipe.model.vision.size.heads = 5;
      recipe.shedule = { total: { steps: 3 } };
    });
    expect(problems).toEqual([
      'phases.pretrain.batch is 1; allowed: a whole number from 2 to 1048576',
      'shedule is not a known field; did you mean schedule?',
      'model.vision.size.heads is 5; a divisor of the width 128 is allowed',
    ]);
  });

  it('is told of a phase that trains for nothing; without the field it trains for the sigmoid loss', () => {
    expect(problemsOf(set('phases.0.objectives', {}))).toEqual([
      'phases.pretrain.objectives names none; at least one is allowed: sigmoid, captioning, localToGlobal, maskedPrediction, hardNegatives',
    ]);
    const { phases } = parseRecipe(set('phases.0.objectives', undefined)(read('emoji.json')));
    expect(phases[0]!.objectives).toEqual({ sigmoid: 1 });
  });

  it('is told nothing that only follows from another mistake, and each thing once', () => {
    const problems = problemsOf((recipe) => {
      recipe.seed = 1e20;
      recipe.phases[0].batch = '64';
      recipe.phases.push({ name: 'late', batch: 64, from: 'pretrain', window: { from: { steps: 900 } } });
    });
    expect(problems).toEqual([
      'seed is 100000000000000000000; allowed: a whole number from 0 to 4294967295',
      'phases.pretrain.batch is "64"; allowed: a whole number from 2 to 1048576',
    ]);
  });

  it('with a key __proto__ is told so, and one of all phases by number where a name is there twice', () => {
    const proto = problemsOf((recipe) => JSON.parse(JSON.stringify(recipe).replace('{', '{"__proto__": {"a": 1},')));
    expect(proto).toEqual([expect.stringMatching(/^__proto__ is not a known field; known here: /)]);
    const twice = problemsOf((r) => r.phases.push({ name: 'pretrain', batch: 1 }) && r);
    expect(twice[0]).toMatch(/^phases.1.batch is 1;/);
  });

  it('may have language tags as the standard has them', () => {
    const good = ['es-419', 'zh-Hant-TW', 'sr-Latn', 'de-CH-1996', 'en-US-x-own', 'eng', 'zh-simplified', 'other'];
    const captions = (language: string) => (r: Written) => set('data.captions', [{ language, weight: 1 }])(r);
    expect(good.flatMap((language) => problemsOf(captions(language)))).toEqual([]);
    const bad = ['english', 'en_US', 'es-4199-', 'e', 'en-', ''];
    expect(bad.map((language) => problemsOf(captions(language)).length)).toEqual(bad.map(() => 1));
  });

  it('is told of contradictions between right fields though others are wrong', () => {
    const problems = problemsOf((recipe) => {
      recipe.data.captions = [{ language: 'English', weight: -1 }];
      recipe.schedule = { total: { steps: 900 }, warmup: { steps: 900 } };
    });
    expect(problems).toEqual([
      'data.captions.0.language is "English"; allowed: a language tag (BCP 47), such as en, zh-CN or es-419, or other',
      'data.captions.0.weight is -1; allowed: a number above 0',
      'schedule.warmup is {"steps":900}; less than schedule.total {"steps":900} is allowed',
    ]);
  });

  const cases: [string, (recipe: Written) => unknown, RegExp][] = [
    ['a misspelt size', set('model.vision.size', 'So40m'), /^model.vision.size is "So40m"; allowed: one of mu, Ti/],
    ['a duration without unit', set('schedule.total', 900), /schedule.total is 900; .*\{"steps": 900\}/],
    [
      'a negative length',
      set('schedule.warmup', { steps: -5 }),
      /warmup.steps is -5; allowed: a whole number of at least 0/,
    ],
    ['two units', set('schedule.total', { steps: 1, epochs: 1 }), /schedule.total is .*one unit/],
    ['a total in percent', set('schedule.total', { percent: 50 }), /schedule.total is in percent/],
    ['a total below one step', set('schedule.total', { examples: 255 }), /at least one step of 256/],
    ['a patch above the resolution', set('model.vision.patch', 33), /patch is 33; at most the resolution 32/],
    ['text longer than any', set('model.text.length', 257), /length is 257; allowed: .* from 2 to 256/],
    [
      'longer texts from scratch',
      set('phases.0.text', { length: 90 }),
      /^phases.pretrain.text is of a phase that goes/,
    ],
    ['a prefix with a slash at its end', set('data.train', 'data/x/'), /^data.train is "data\/x\/"; .* "data\/x"$/],
    ['an address', set('data.evaluation', 's3://b/data/x/'), /the part within the bucket, .*: "data\/x"$/],
    [
      'a prefix of odd characters',
      set('data.train', 'data/lang=en'),
      /names of A-Z, a-z, 0-9, \., _ and -, with \/ between$/,
    ],
    [
      'a model left out by a phase from scratch',
      set('model', undefined),
      /^model is missing; .* phase pretrain starts/,
    ],
    [
      'a field that every object has',
      set('constructor', 1),
      /^constructor is not a known field; known here: \$schema,/,
    ],
    ['such a field within', set('model.vision.toString', 1), /^model.vision.toString is not a known field; known here/],
    ['bytes', () => Buffer.from('{"version": 1}'), /^recipe came as bytes: leave --input-meta out/],
    ['bytes as JSON', () => ({ ...Buffer.from('{"version": 1}') }), /^recipe came as bytes: leave --input-meta out/],
    ['a prefix that climbs', set('data.train', 'data/../secret'), /data.train is .*key prefix/],
    ['evaluation within training', set('data.evaluation', 'data/emoji/train/x'), /must not be trained on/],
    ['training within evaluation', set('data.evaluation', 'data/emoji'), /must not be trained on/],
    ['an unknown parameter', set('optimizer.multipliers', { logit_bais: 2 }), /"logit_bais"; .*logit_bias/],
    ['a pattern of none', set('optimizer.multipliers', { '*.lora.*': 0 }), /"\*\.lora\.\*"; what means a parameter/],
    [
      'a part that is none',
      set('phases.0.train', ['text', 'mapHaed']),
      /^phases.pretrain.train names "mapHaed"; what means a parameter is allowed, such as mapHead$/,
    ],
    ['blocks above the last', set('phases.0.freeze', ['imageBlocks.90-99']), /freeze names "imageBlocks.90-99"; what/],
    ['a decoder where there is none', set('phases.0.freeze', ['decoder']), /freeze names "decoder"; what means/],
    [
      'nothing that is trained',
      set('phases.0.freeze', ['*']),
      /^phases.pretrain trains nothing: .* leave no parameter/,
    ],
    [
      'a rank above a width',
      set('phases.0.lora', { rank: 900 }),
      /^phases.pretrain.lora.rank is 900, and \w+_model\.\S+ is \d+ wide; at most \d+ is allowed$/,
    ],
    [
      'adapters of what is no layer',
      set('phases.0.lora', { targets: ['query'] }),
      /lora.targets.0 is "query"; allowed: one of "q_proj", /,
    ],
    [
      'adapters where no block has them',
      set('phases.0.lora', { in: ['vision', 'mapHead'] }),
      /^phases.pretrain.lora.in names "mapHead", where no block has q_proj or .*; allowed are vision, text, and blocks of imageBlocks.0-\d+ and/,
    ],
    [
      'adapters of blocks above the last',
      set('phases.0.lora', { in: ['textBlocks.90'] }),
      /lora.in names "textBlocks.90", where no/,
    ],
    [
      'adapters and a pull of weights',
      (r) => Object.assign(r.phases[0], { lora: {}, optimizer: { startDecay: 0.1 } }) && r,
      /lora leaves the weights as they are, so that startDecay has nothing/,
    ],
    [
      'adapters in rounds',
      (r) => Object.assign(r.phases[0], { lora: {}, replicas: { number: 2, steps: 4 } }) && r,
      /lora is trained by one worker; no replicas/,
    ],
    [
      'adapters beside parts',
      (r) => Object.assign(r.phases[0], { lora: {}, train: ['text'] }) && r,
      /lora trains adapters alone; no train beside/,
    ],
    [
      'adapters beside a decoder',
      (r) => Object.assign(r.phases[0], { lora: {}, objectives: { captioning: {} } }) && r,
      /lora trains adapters of the towers alone; captioning needs more/,
    ],
    [
      'texts that are wrong without a loss of pairs',
      (r) => Object.assign(r.phases[0], { objectives: { hardNegatives: {}, captioning: {} } }) && r,
      /hardNegatives are pairs beside those of the sigmoid loss, which the phase has not; add "sigmoid"/,
    ],
    [
      'more of them than are drawn of an example',
      set('phases.0.objectives', { sigmoid: 1, hardNegatives: { texts: 17 } }),
      /hardNegatives.texts is 17; allowed: a whole number above 0, at most 16/,
    ],
    [
      'pairs without a loss of pairs',
      (r) => Object.assign(r.phases[0], { negatives: 'distinct', objectives: { captioning: {} } }) && r,
      /^phases.pretrain.negatives is about pairs, and the phase has no sigmoid loss/,
    ],
    [
      'pairs that are both',
      (r) => Object.assign(r.phases[0], { negatives: 'all', positives: 'shared' }) && r,
      /negatives is "all", and its positives are "shared"/,
    ],
    [
      'positives by texts that are joined',
      (r) => Object.assign(r.phases[0], { positives: 'any' }) && r,
      /positives is "any", and the texts of an example are joined to one, .* allowed: "shared", "draw": "one"/,
    ],
    ['a scale upside down', set('data.augment.scale', [2, 1]), /\[smallest, largest\]/],
    ['a language twice', (r) => r.data.captions.push({ language: 'en', weight: 2 }) && r, /"en" again/],
    ['a window that starts late', set('phases.0.window', { from: { steps: 5 } }), /a phase from scratch starts at 0/],
    [
      'a phase that goes on from none',
      set('phases.0.from', 'later'),
      /phases.pretrain.from is "later"; the first phase starts/,
    ],
    [
      'a parent that comes later',
      (r) => r.phases.push({ name: 'b', batch: 8, from: 'c' }) && r,
      /an earlier phase is allowed: pretrain/,
    ],
    ['a phase twice', (r) => r.phases.push({ name: 'pretrain', batch: 8 }) && r, /name is "pretrain" again/],
    [
      'a branch from where its trunk does not go',
      (r) => {
        r.phases[0].window = { to: { percent: 50 } };
        r.phases.push({ name: 'b', batch: 8, from: 'pretrain', window: { from: { percent: 60 } } });
      },
      /phases.b.window is .*; a start within the window of pretrain is allowed/,
    ],
    [
      'self-distillation on images of any shape',
      set('phases.0', { name: 'p', batch: 8, vision: { naflex: {} }, objectives: { sigmoid: 1, localToGlobal: {} } }),
      /objectives.localToGlobal is .*; a phase of NaFlex trains without it/,
    ],
    [
      'local views that are no whole patches',
      set('phases.0.objectives', { localToGlobal: { resolution: 21 } }),
      /localToGlobal.resolution is 21; a multiple of the patch 8 is allowed/,
    ],
    [
      'a masked share of no patch',
      set('phases.0.objectives', { maskedPrediction: { share: 0.01 } }),
      /at least one of \d+ patches/,
    ],
    ['patches above a resolution', set('phases.0.vision', { resolution: 4 }), /patches of at most the resolution/],
    ['a window past the end', set('phases.0.window', { to: { steps: 1_000_000 } }), /an end within schedule.total/],
    ['a window of nothing', set('phases.0.window', { to: { steps: 0 } }), /at least one step/],
    ['a reserved name of a phase', set('phases.0.name', 'export'), /name is "export"; another name/],
    ['no phases', set('phases', []), /phases is \[\]; allowed: a list of at least 1/],
    ['another version', set('version', 2), /version is 2; allowed: 1/],
    ['an object for a size without text', set('model.text.size', undefined), /model.text.size is missing/],
    ['nothing at all', () => ({}), /version is missing; needed: 1/],
    ['a list', () => [], /recipe is \[\]; allowed: an object/],
  ];
  it.each(cases)('%s is named', (_, change, message) => {
    expect(problemsOf(change)[0]).toMatch(message);
  });

  it('never sees a credential repeated', () => {
    const hidden = 'wJalrXUtnFEMI/K7MDENG';
    const problems = problemsOf((recipe) => {
      recipe.data.aws_secret_access_key = hidden;
      recipe.phases[0].name = 'AKIAIOSFODNN7EXAMPLE';
    });
    expect(problems).toHaveLength(2);
    for (const problem of problems) expect(problem).toMatch(/looks like a credential/);
    expect(problems.join()).not.toMatch(/wJalr|AKIA/);
  });

  it('is refused when it is nested too deeply, and not with a full stack', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`);
    expect(() => parseRecipe(deep)).toThrow(/nested more than 16 levels/);
  });

  it('is found out once the data is known', () => {
    const long = set('schedule', { total: { epochs: 2 }, warmup: { epochs: 1 } });
    expect(problemsOf(long, 10_000)).toEqual([]);
    expect(problemsOf(long, 100)[0]).toMatch(/\{"epochs":2\}; at least one step of 256/);
  });
});

describe('the recipes of the repository', () => {
  it.each(readdirSync(folder).filter((file) => file.endsWith('.json') && file !== 'recipe.schema.json'))(
    '%s is right',
    (file) => expect(parseRecipe(read(file)).version).toBe(1),
  );

  it('emoji.json resolves to its steps of 256 examples and the shapes of the trial', () => {
    const recipe = parseRecipe(read('emoji.json'));
    const { total, warmup } = read('emoji.json').schedule;
    const vocabulary = [0, 1, 3, 77];
    const settings = phaseSettings(recipe, recipe.phases[0]!, { examples: 9_000, vocabulary });
    expect(settings.schedule).toEqual({ total: total.steps * 256, warmup: warmup.steps * 256 });
    expect(settings.model).toEqual({
      vision: { width: 128, depth: 4, mlp: 512, heads: 4, patch: 8, resolution: 32 },
      text: { width: 128, depth: 2, mlp: 512, heads: 4, length: 16, vocabulary: 4 },
    });
    expect(settings.batches).toMatchObject({ batch: 256, resolution: 32, textLength: 16, vocabulary });
    expect(settings.init).toEqual({ temperature: 10, logitBias: -5.5 });
  });

  it('have a JSON Schema that is current (npm run schema writes it)', () => {
    expect(read('recipe.schema.json')).toEqual(JSON.parse(JSON.stringify(recipeJsonSchema())));
  });
});
