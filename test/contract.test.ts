import { readdirSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import * as keys from '../src/checkpoint/keys.ts';
import { createProgram } from '../src/program.ts';
import { type JsonSchema, recipeJsonSchema } from '../src/recipe/allowed.ts';
import { searchAttributes } from '../src/runtime/search-attributes.ts';
import { variables } from '../src/runtime/variables.ts';
import { workerProgram } from '../src/worker-program.ts';
import * as workflows from '../workflows/index.ts';

/** Every path that a recipe may have. */
function pathsOf(schema: JsonSchema, path = ''): string[] {
  const kinds = schema.anyOf ?? [schema];
  return kinds.flatMap(({ properties = {}, items, anyOf }) => [
    ...Object.entries(properties).flatMap(([name, field]) => {
      const at = path === '' ? name : `${path}.${name}`;
      return [at, ...pathsOf(field, at)];
    }),
    ...(items ? pathsOf(items, `${path}[]`) : []),
    ...(anyOf && anyOf !== schema.anyOf ? pathsOf({ anyOf }, path) : []),
  ]);
}

const commandLines = (program: Command, above = ''): string[] => [
  ...program.options.map(({ flags }) => `${above}${program.name()} ${flags}`),
  ...program.commands.flatMap((command) => {
    const own = `${above}${command.name()}`;
    if (command.commands.length > 0) return commandLines(command, `${own} `);
    const needed = command.registeredArguments.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`));
    return [[own, ...needed].join(' '), ...command.options.map(({ flags }) => `${own} ${flags}`)];
  }),
];

/** Names that workflows define for queries, updates or signals, wherever in their folder. */
function messages(kind: 'Query' | 'Update' | 'Signal'): string[] {
  const folder = new URL('../workflows/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  return files.flatMap((name) =>
    [...readFileSync(new URL(name, folder), 'utf8').matchAll(/define(\w+?)(?:<[\s\S]*?>)?\('(\w+)'/g)].flatMap(
      ([, found, message]) => (found === kind ? [message!] : []),
    ),
  );
}

/** Where things lie, by every function of keys.ts that says so. */
function bucketKeys(): string[] {
  const at = {
    run: 'RUN',
    phase: 'PHASE',
    revision: 0,
    step: 400,
    attempt: 'ATTEMPT',
    who: 'WHO',
    shard: 7,
    slot: 3,
    task: 'TASK',
  };
  const ofRun = ['runKey', 'reportKey', 'runPrefix', 'originsKey'];
  return Object.entries(keys).flatMap(([name, make]) => {
    if (!/^(?!parse|is).*(Key|Prefix)$/.test(name)) return [];
    const say = make as (...given: unknown[]) => string;
    return [ofRun.includes(name) ? say('RUN') : say({ ...at, scoring: '0123456789abcdef' }, 'SETTINGS')];
  });
}

it('is what others rely on: a name changes only on purpose (npx vitest run test/contract.test.ts -u)', async () => {
  const lists: Record<string, readonly string[]> = {
    'fields of a recipe': pathsOf(recipeJsonSchema()),
    'commands of siglip2': commandLines(createProgram()),
    'options of npm run worker': commandLines(workerProgram(async () => {})),
    workflows: Object.keys(workflows),
    queries: messages('Query'),
    updates: messages('Update'),
    signals: messages('Signal'),
    'search attributes': Object.entries(searchAttributes).map(([name, { type }]) => `${name} ${type}`),
    'environment variables': Object.keys(variables),
    'keys of the bucket': bucketKeys(),
  };
  for (const [name, list] of Object.entries(lists)) expect(list.length, name).toBeGreaterThan(0);
  const text = Object.entries(lists)
    .map(([name, list]) => `# ${name}\n${[...new Set(list)].sort().join('\n')}\n`)
    .join('\n');
  await expect(text).toMatchFileSnapshot('contract.txt');
});
