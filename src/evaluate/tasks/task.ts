import { z } from 'zod';
import { namesAt } from '../../recipe/issue-text.ts';
import { languagePattern } from '../../recipe/languages.ts';
import { placeSchema } from '../../recipe/places-schema.ts';
import { readProblems, readSchema } from '../../recipe/reading.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { evaluatorSettings, learners } from '../evaluators/settings.ts';

/** A task as one JSON document: what is looked at, and by which evaluators. Types, checks and help come from here. */

const sampleSchema = z.strictObject({
  examples: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(50_000)
    .describe(
      'So many examples are looked at, one from each of as many equal parts of the data; all where it has no more.',
    ),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .describe('Says which one of each part.'),
});

const setSchema = z.strictObject({
  data: z
    .union([placeSchema, z.array(placeSchema).min(1).max(100)])
    .describe('Where the WebDataset shards lie in the bucket: one place or several.'),
  read: readSchema.optional().describe('How shards that others wrote are read, as data.read of a recipe.'),
  sample: sampleSchema.prefault({}).describe('Which of the examples are looked at.'),
});

const line = z.string().min(1).max(300);
const hubName = z.string().regex(/^[A-Za-z0-9][\w.-]{0,95}$/, 'a name of letters, digits, _, . and -');

/** huggingface/hub-docs, eval_results.yaml. */
export const datasetSchema = z.strictObject({
  hub: z
    .string()
    .regex(
      /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/,
      'OWNER/NAME of a data set on the Hugging Face hub, such as "ILSVRC/imagenet-1k"',
    )
    .describe('OWNER/NAME of the data set on the Hugging Face hub.'),
  config: hubName.optional().describe('Its subset.'),
  split: hubName.optional().describe('Its split, such as validation.'),
  revision: hubName.optional().describe('Its commit.'),
  tasks: z
    .record(z.string().min(1).max(200), hubName)
    .optional()
    .describe(
      'Of a figure, such as zeroShot.top1, the id of its task in the eval.yaml of the data set: these go into .eval_results.',
    ),
  source: z
    .url({ protocol: /^https$/, hostname: z.regexes.domain })
    .max(500)
    .optional()
    .describe('Where others can look at how the figures came about: a link that .eval_results gives.'),
});

const template = line.regex(
  /^[^{}]*\{c?\}[^{}]*$/,
  'a text with one {} or {c} where the name goes, such as "a photo of a {}"',
);

export const taskSchema = z.strictObject({
  $schema: z.string().optional().describe('For editors: where the JSON Schema lies.'),
  version: z.literal(1).describe('Of this form of task.'),
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'at most 60 of a-z, 0-9, ., _ and -, such as "imagenet-val"')
    .describe('What the results are found by.'),
  ...setSchema.shape,
  train: setSchema.optional().describe('What probes and neighbours learn from: never the same pictures.'),
  languages: z
    .array(z.string().regex(languagePattern, 'a language tag (BCP 47), such as en'))
    .min(1)
    .max(200)
    .default(['en'])
    .describe('Languages of the texts, each with figures of its own.'),
  captions: z
    .int()
    .min(1)
    .max(16)
    .optional()
    .describe(
      'Captions of a picture that are looked at, the first ones. Left out: 16, and 1 where the JSON is of this project, whose other texts are tags.',
    ),
  classes: z
    .strictObject({
      names: z
        .union([z.array(line).min(1).max(100_000), placeSchema])
        .optional()
        .describe(
          'Names of the classes in the order of their numbers: a list, or the key of a file with one on each line. Left out: those of read.classnames, or else the first caption of each class.',
        ),
      templates: z
        .union([z.array(template).min(1).max(1000), placeSchema])
        .optional()
        .describe(
          'Each name is put into all of them, and the mean counts: a list, or the key of a file with one on each line.',
        ),
    })
    .prefault({})
    .describe('What pictures are told apart by.'),
  text: z
    .strictObject({
      case: z
        .enum(['lower', 'kept'])
        .default('lower')
        .describe('Whether texts are lower-cased, as SigLIP 2 was trained; kept is for showing what that costs.'),
    })
    .prefault({})
    .describe('How texts become tokens.'),
  resize: z
    .enum(['antialias', 'big_vision'])
    .optional()
    .describe('How pictures become squares; left out: as in the training of the model.'),
  views: z
    .union(
      [
        z.strictObject({ patches: z.array(z.int().min(1).max(65_536)).min(1).max(20) }),
        z.strictObject({ resolutions: z.array(z.int().min(1).max(4096)).min(1).max(20) }),
      ],
      'lengths of a NaFlex model, {"patches": [64, 256]}, or resolutions of a fixed one, {"resolutions": [224, 256]}',
    )
    .optional()
    .describe('Sizes that pictures are shown at, each with figures of its own; left out: the one of the model.'),
  // Without a default, so that tasks of before have the ids that they had.
  dataset: datasetSchema.optional().describe('What the data are elsewhere, for model cards and leaderboards.'),
  published: z
    .record(z.string().min(1).max(200), z.string().min(1).max(200))
    .optional()
    .describe(
      'Of a figure, such as zeroShot.top1, the column of src/benchmarks/published.json that is printed beside it.',
    ),
  evaluators: evaluatorSettings.describe('What is measured, and how.'),
});

/** With every default. */
export type Task = z.infer<typeof taskSchema>;
/** One set of examples of a task. */
export type TaskSet = z.infer<typeof setSchema>;

/** What editors check a task against. */
export const taskJsonSchema = (): object => z.toJSONSchema(taskSchema, { io: 'input' });

/** RecipeInvalid, with everything that is wrong in one sentence. */
export function parseTask(json: unknown): Task {
  const { success, data, error } = taskSchema.safeParse(json);
  const problems = success ? meaningless(data) : error.issues.map((issue) => issueText(issue, json));
  if (problems.length > 0)
    throw new RunnerError(
      'RecipeInvalid',
      `the task can't be done: ${problems.slice(0, 20).join('; ')}; see src/evaluate/README.md`,
    );
  return data!;
}

function issueText({ path, message, code, ...issue }: z.core.$ZodIssue, json: unknown): string {
  const at = path.join('.') || 'the task';
  if (code === 'unrecognized_keys') return `${at}: ${message}; allowed: ${namesAt(taskSchema, path).join(', ')}`;
  const said = path.reduce<unknown>((at, name) => (at as Record<PropertyKey, unknown> | undefined)?.[name], json);
  // Of a union with objects in it the innermost reason helps; where there is one.
  const inner = 'errors' in issue ? (issue.errors as z.core.$ZodIssue[][]).flat()[0]?.message : undefined;
  const plain = (text: string) =>
    text
      .replace(/^Invalid input: expected ([^,]+)(, received .*)?$/, '$1')
      .replace(/^Invalid option: expected one of (.+)$/, (_, all: string) => all.replaceAll('|', ', '));
  const got = said === undefined ? 'is missing' : `is ${JSON.stringify(said).slice(0, 80)}`;
  return `${at} ${got}; allowed: ${plain(message === 'Invalid input' && inner ? inner : message)}`;
}

function meaningless(task: Task): string[] {
  const { evaluators, read, train, data, languages, sample, classes } = task;
  const problems = [
    ...readProblems(read, 'read').map(({ message }) => message),
    ...readProblems(train?.read, 'train.read').map(({ message }) => message),
  ];
  const names = Object.keys(evaluators) as (keyof typeof evaluators)[];
  if (names.length === 0) problems.push('evaluators is {}: nothing would be measured');
  const learning = names.filter((name) => learners.includes(name));
  if (learning.length > 0 && !train)
    problems.push(`train is missing: evaluators.${learning[0]} learns from it, {"data": "data/x/train"}`);
  if (train && learning.length === 0)
    problems.push(`train is given, and no evaluator learns from it: ${learners.join(', ')} do`);
  if (train && JSON.stringify([train.data, train.sample]) === JSON.stringify([data, sample]))
    problems.push('train is the same as data: what was learned by heart proves nothing');
  const { names: named, templates } = classes;
  if (evaluators.bias && (named === undefined || (typeof named !== 'string' && named.length !== 2)))
    problems.push(
      `evaluators.bias compares two texts, and classes.names has ${named?.length ?? 'none'}; allowed: two, such as ["male", "female"]`,
    );
  const { depth } = evaluators;
  if (depth && depth.least >= depth.most)
    problems.push(
      `evaluators.depth.least is ${depth.least} and most ${depth.most}: no depth lies between; allowed: a least below ${depth.most}`,
    );
  for (const [of, named] of Object.entries({ published: task.published, 'dataset.tasks': task.dataset?.tasks })) {
    const foreign = Object.keys(named ?? {}).find((path) => !names.some((name) => path.startsWith(`${name}.`)));
    if (foreign !== undefined)
      problems.push(
        `${of}.${foreign} is of no evaluator of this task; allowed: ${names.map((name) => `${name}.<figure>`).join(', ')}`,
      );
  }
  if (templates !== undefined && named === undefined && read?.classnames === undefined)
    problems.push(
      'classes.templates is given without names: put them into read.templates, which captions that stand for classes are put into',
    );
  if (evaluators.detection && named === undefined && read?.classnames === undefined)
    problems.push(
      'classes.names is missing: evaluators.detection looks for these categories, {"classes": {"names": "data/x/categories.txt"}}',
    );
  const twice = languages.find((one, i) => languages.indexOf(one) < i);
  if (twice !== undefined) problems.push(`languages has ${twice} twice; each once is allowed`);
  return problems;
}
