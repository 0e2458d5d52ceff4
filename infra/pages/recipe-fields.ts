import { allowedWords, type JsonSchema, recipeJsonSchema } from '../../src/recipe/allowed.ts';
import { table } from './table.ts';

/** A field of the recipe as the page lists it. */
export interface Field {
  readonly path: string;
  readonly allowed: string;
  /** As JSON; empty for a field that must be given or may be left out. */
  readonly fallback: string;
  readonly description: string;
}

const units = ['steps', 'examples', 'epochs', 'percent'];
const fieldsOf = ({ properties = {} }: JsonSchema) => Object.keys(properties);

/** Whether it is a length of training with its unit, which the page explains once. */
const isDuration = ({ anyOf }: JsonSchema) => anyOf?.flatMap(fieldsOf).join() === units.join();

function words(schema: JsonSchema): string {
  if (isDuration(schema)) return 'a length';
  if (schema.anyOf) return schema.anyOf.map(words).join(', or ');
  if (schema.type === 'array' && schema.items) return `${allowedWords(schema)}: ${words(schema.items)}`;
  if (schema.type === 'array' && schema.prefixItems)
    return `${allowedWords(schema)}: ${schema.prefixItems.map(words).join('; ')}`;
  if (schema.type === 'object' && schema.properties) return 'an object';
  if (schema.type === 'object' && typeof schema.additionalProperties === 'object')
    return `an object of names, each with ${words(schema.additionalProperties)}`;
  if (schema.type === 'boolean') return 'true or false';
  return allowedWords(schema);
}

/** Every field below a schema, each after the one that holds it. A part that stands elsewhere as well is listed there. */
function below(path: string, schema: JsonSchema, elsewhere: ReadonlyMap<string, string>): Field[] {
  if (isDuration(schema)) return [];
  const kinds = schema.anyOf ?? [schema];
  const inLists = kinds.flatMap(({ items }) => (items ? below(`${path}[]`, items, elsewhere) : []));
  const own = kinds.flatMap(({ properties = {}, required = [] }) =>
    Object.entries(properties).flatMap(([name, field]) => {
      const at = path === '' ? name : `${path}.${name}`;
      const same = elsewhere.get(JSON.stringify(field.properties ?? field.items ?? null));
      const known = same !== undefined && same !== at;
      const row: Field = {
        path: at,
        allowed: known ? `as \`${same}\`` : words(field),
        fallback: fallbackOf(field, required.includes(name)),
        description: field.description ?? '',
      };
      return [row, ...(known ? [] : below(at, field, elsewhere))];
    }),
  );
  return [...own, ...inLists];
}

function fallbackOf({ default: value }: JsonSchema, required: boolean): string {
  if (value === undefined) return required ? 'must be given' : '';
  return JSON.stringify(value) === '{}' ? '' : `\`${JSON.stringify(value)}\``;
}

/** Every field of a recipe, in the order of the schema. */
export function recipeFields(): Field[] {
  const schema = recipeJsonSchema();
  const { model, data } = schema.properties!;
  const elsewhere = new Map([
    [JSON.stringify(model!.properties), 'model'],
    [JSON.stringify(data!.properties!.captions!.items), 'data.captions'],
    [JSON.stringify(data!.properties!.augment!.properties), 'data.augment'],
    [JSON.stringify(data!.properties!.read!.properties), 'data.read'],
  ]);
  return below('', schema, elsewhere);
}

/** The page's part: the fields at the top, then a table for each of those that hold others. */
export function recipeTables(): string {
  const fields = recipeFields();
  const groupOf = ({ path }: Field) => {
    const [top = '', second] = path.split('.');
    if (second === undefined) return 'At the top';
    // The fields of a phase are many: those that hold others have a table of their own.
    const deep = top === 'phases[]' && fields.some((field) => field.path.startsWith(`${top}.${second}.`));
    return deep ? `${top}.${second}` : top.replace('[]', '');
  };
  const groups = new Map<string, Field[]>();
  for (const field of fields) groups.set(groupOf(field), [...(groups.get(groupOf(field)) ?? []), field]);
  return [...groups]
    .map(([name, list]) => {
      const rows = list.map((field) => [`\`${field.path}\``, field.allowed, field.fallback, field.description]);
      return `### ${name}\n\n${table(['field', 'allowed', 'default', 'meaning'], rows)}`;
    })
    .join('\n\n');
}
