import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { exitCodes } from '../../src/runtime/exit-codes.ts';
import { searchAttributes } from '../../src/runtime/search-attributes.ts';
import { variables } from '../../src/runtime/variables.ts';
import { serviceLogs } from '../services/logs.ts';
import { recipeTables } from './recipe-fields.ts';
import { table } from './table.ts';

/** What is made from the code, for each page that has a place for it. */
export const madeParts: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  'infra/README.md': {
    variables: () =>
      table(
        ['variable', 'meaning', 'when it is not set', 'read by'],
        Object.entries(variables).map(([name, { meaning, unset, readBy }]) => [
          `\`${name}\``,
          meaning,
          unset,
          readBy.join(', '),
        ]),
      ),
    'exit codes': () =>
      table(
        ['exit code', 'meaning'],
        Object.values(exitCodes).map(({ code, meaning }) => [`${code}`, meaning]),
      ),
    logs: () =>
      table(
        ['log', 'what is in it'],
        Object.entries(serviceLogs).map(([name, meaning]) => [`\`logs/${name}.log\``, meaning]),
      ),
    'search attributes': () =>
      table(
        ['attribute', 'type', 'meaning'],
        Object.entries(searchAttributes).map(([name, { type, meaning }]) => [`\`${name}\``, type, meaning]),
      ),
  },
  'infra/recipes/README.md': { fields: recipeTables },
};

const root = new URL('../../', import.meta.url);
export const pageFile = (page: string) => fileURLToPath(new URL(page, root));

/** A page with its parts made anew between their marks; everything else is as it was written. */
export function renderPage(page: string): string {
  let text = readFileSync(pageFile(page), 'utf8');
  for (const [name, make] of Object.entries(madeParts[page]!)) {
    const begin = `<!-- made by npm run pages: ${name} -->\n`;
    const [before, rest] = text.split(begin);
    const end = rest?.indexOf('<!-- end -->') ?? -1;
    if (before === undefined || rest === undefined || end < 0)
      throw new Error(`${page} has no place for ${name}: ${begin}`);
    text = `${before}${begin}\n${make()}\n\n${rest.slice(end)}`;
  }
  return text;
}
