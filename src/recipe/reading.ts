import { z } from 'zod';
import { languagePattern } from './languages.ts';
import { allowedPlace, placePattern } from './places.ts';
import type { Problem } from './problem.ts';

const fieldName = z.string().min(1).max(200);

const template = z
  .string()
  .max(300)
  .regex(/^[^{}]*\{\}[^{}]*$/, 'a text with one {} where the text goes, such as "a photo of {}"');
const templates = z.array(template).min(1).max(1000);

const language = z.string().regex(languagePattern, 'a language tag (BCP 47), such as en, zh-CN or es-419');

const captionFieldSchema = z.strictObject({
  field: fieldName.describe('Name of the field, with a text, a list of texts, or texts by language.'),
  weight: z
    .number()
    .positive()
    .default(1)
    .describe('How often it is drawn, against the weights of the others that the example has.'),
  language: language.optional().describe('Of its texts, where it is another than that of the example.'),
  templates: templates.optional().describe('As read.templates, for this field alone.'),
});

/** How shards that others wrote are read (WebDataset's layout: members of one name are one example). */
export const readSchema = z.strictObject({
  captions: z
    .enum(['txt', 'lines', 'json', 'class', 'own'])
    .describe(
      'Where the texts are: txt, one in a .txt member; lines, one a line of it; json, in a field of the .json member; class, the name of the class; own, the JSON of this project, as when read is left out.',
    ),
  field: fieldName
    .optional()
    .describe(
      'Of json: the field with a text, a list of texts, or texts by language. Left out: caption, captions or text.',
    ),
  fields: z
    .array(captionFieldSchema)
    .min(1)
    .max(20)
    .optional()
    .describe(
      'Of json, in the place of field: several fields, such as alt text and recaption, of which one is drawn by weight.',
    ),
  language: language.default('en').describe('The language of texts that are not told by language.'),
  languageField: fieldName
    .optional()
    .describe(
      'Of json: the field that names the language of the texts, such as LANGUAGE of LAION; language where it is empty.',
    ),
  class: z
    .enum(['cls', 'txt'])
    .optional()
    .describe('The member with the class, a number or a name: for zero-shot evaluation.'),
  classnames: z
    .string()
    .regex(placePattern, { error: ({ input }) => allowedPlace(input) })
    .optional()
    .describe('Key of a file with the name of a class on each line, of which the first is class 0.'),
  draw: z
    .enum(['one', 'first', 'joined'])
    .default('one')
    .describe(
      'Of several texts: one, another each time; first; joined, as labelShare says it. Own JSON is always joined.',
    ),
  templates: templates
    .optional()
    .describe('Each text is put into one of these, drawn evenly: "a photo of {}". Evaluation takes the mean of all.'),
});

/** `data.read` of a recipe, with its defaults. */
export type ReadSettings = z.infer<typeof readSchema>;

/** Of the texts of an example, what is trained on. */
export const drawOf = (read: ReadSettings | undefined): ReadSettings['draw'] => foreign(read)?.draw ?? 'joined';

/** The templates that a text is put into; undefined: it stays as it is. `field`: its number in `read.fields`. */
export const templatesOf = (read: ReadSettings | undefined, field?: number): readonly string[] | undefined =>
  (field === undefined ? undefined : read?.fields?.[field]?.templates) ?? read?.templates;

/** A text in its place in a template. */
export const filled = (template: string, text: string): string => template.replace('{}', () => text);

/** Share of a shard that may be broken: 5 % where a recipe says nothing. */
export const mostBroken = ({ maxBroken = 0.05 }: { readonly maxBroken?: number | undefined }): number => maxBroken;

/** As sentences have it: "5 %". */
export const percent = (share: number) => `${Number((100 * share).toFixed(2))} %`;

/** How shards of others are read. */
export type ForeignRead = ReadSettings & { readonly captions: Exclude<ReadSettings['captions'], 'own'> };

/** The mapping, or undefined where examples have the JSON of this project. */
export const foreign = (read: ReadSettings | undefined): ForeignRead | undefined =>
  read === undefined || read.captions === 'own' ? undefined : (read as ForeignRead);

/** Where a mapping asks for what can't be. `at`: its place in the recipe. */
export function readProblems(read: ReadSettings | undefined, at: string): Problem[] {
  if (!read) return [];
  const { captions, field, fields = [], languageField, class: of, classnames } = read;
  const problems: Problem[] = [];
  const add = (name: string, message: string) =>
    problems.push({ fields: [`${at}.${name}`, `${at}.captions`], message: `${at}.${name} ${message}` });
  if (field !== undefined && captions !== 'json')
    add('field', `is given; it is allowed with "captions": "json", not with "${captions}"`);
  if (read.fields !== undefined && captions !== 'json')
    add('fields', `is given; it is allowed with "captions": "json", not with "${captions}"`);
  if (read.fields !== undefined && field !== undefined)
    add('field', 'is given beside fields; one of them is allowed: field for one, fields for several');
  if (languageField !== undefined && captions !== 'json')
    add('languageField', `is given; it is allowed with "captions": "json", not with "${captions}"`);
  fields.forEach(({ field: name }, i) => {
    if (fields.findIndex((other) => other.field === name) < i)
      add(`fields.${i}.field`, `is "${name}" again; each field once is allowed`);
  });
  for (const [name, list] of [
    ['templates', read.templates],
    ...fields.map((one, i) => [`fields.${i}.templates`, one.templates] as const),
  ] as const) {
    const twice = list?.find((one, i) => list.indexOf(one) < i);
    if (twice !== undefined) add(name, `has ${JSON.stringify(twice)} twice; each once is allowed`);
  }
  if (classnames !== undefined && of === undefined) add('classnames', 'is given; it is allowed with class, cls or txt');
  if (of !== undefined && captions === 'own')
    add('class', `is "${of}"; it is not allowed with "captions": "own", whose JSON has a concept`);
  if (of === 'txt' && (captions === 'txt' || captions === 'lines'))
    add('class', `is "txt", which has the captions ("${captions}"); "cls" is allowed`);
  if (captions === 'class' && of === undefined) add('class', 'is missing; needed with "captions": "class": cls or txt');
  if (captions === 'class' && of === 'cls' && classnames === undefined)
    add('classnames', 'is missing; needed with "captions": "class", since a .cls member has a number and no name');
  return problems;
}
