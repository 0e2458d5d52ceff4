import { z } from 'zod';
import { languagePattern } from './languages.ts';
import { allowedPlace, placePattern } from './places.ts';
import type { Problem } from './problem.ts';

/** How shards that others wrote are read (WebDataset's layout: members of one name are one example). */
export const readSchema = z.strictObject({
  captions: z
    .enum(['txt', 'lines', 'json', 'class', 'own'])
    .describe(
      'Where the texts are: txt, one in a .txt member; lines, one a line of it; json, in a field of the .json member; class, the name of the class; own, the JSON of this project, as when read is left out.',
    ),
  field: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe(
      'Of json: the field with a text, a list of texts, or texts by language. Left out: caption, captions or text.',
    ),
  language: z
    .string()
    .regex(languagePattern, 'a language tag (BCP 47), such as en, zh-CN or es-419')
    .default('en')
    .describe('The language of texts that are not told by language.'),
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
});

/** `data.read` of a recipe, with its defaults. */
export type ReadSettings = z.infer<typeof readSchema>;

/** Of the texts of an example, what is trained on. */
export const drawOf = (read: ReadSettings | undefined): ReadSettings['draw'] => foreign(read)?.draw ?? 'joined';

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
  const { captions, field, class: of, classnames } = read;
  const problems: Problem[] = [];
  const add = (name: string, message: string) =>
    problems.push({ fields: [`${at}.${name}`, `${at}.captions`], message: `${at}.${name} ${message}` });
  if (field !== undefined && captions !== 'json')
    add('field', `is given; it is allowed with "captions": "json", not with "${captions}"`);
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
