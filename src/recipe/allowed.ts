import { z } from 'zod';
import { own } from './own.ts';
import { recipeSchema } from './schema.ts';

/** The part of JSON Schema that zod writes for a recipe. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
}

/** What editors check a recipe against: of what a person writes, so what has a default may be left out. */
export function recipeJsonSchema(): JsonSchema {
  return z.toJSONSchema(recipeSchema, { io: 'input' }) as JsonSchema;
}

const cached: { schema?: JsonSchema } = {};

/** The schema of a field, or null where the path leads nowhere. Of a union it is the first that has the field. */
export function schemaAt(path: readonly PropertyKey[]): JsonSchema | null {
  cached.schema ??= recipeJsonSchema();
  let here: JsonSchema | undefined = cached.schema;
  for (const part of path) {
    if (typeof part === 'number') here = here?.prefixItems?.[part] ?? here?.items;
    else {
      const kinds: readonly JsonSchema[] = here?.anyOf ?? (here ? [here] : []);
      const rest: JsonSchema | boolean | undefined = here?.additionalProperties;
      const named = kinds.flatMap(({ properties }) => own(properties, String(part)) ?? []).at(0);
      here = named ?? (typeof rest === 'object' ? rest : undefined);
    }
  }
  return here ?? null;
}

/** In words, what may stand in a field: "a whole number from 2 to 1048576". */
export function allowedWords(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(allowedWords).join(', or ');
  if (schema.enum) return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(', ')}`;
  switch (schema.type) {
    case 'integer':
    case 'number':
      return `a ${schema.type === 'integer' ? 'whole ' : ''}number${bounds(schema)}`;
    case 'array':
      return schema.prefixItems
        ? `a list of ${schema.prefixItems.length}`
        : `a list${schema.minItems ? ` of at least ${schema.minItems}` : ''}`;
    case 'object':
      return schema.properties ? `an object with ${Object.keys(schema.properties).join(', ')}` : 'an object';
    default:
      return 'a text';
  }
}

function bounds({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: JsonSchema): string {
  if (minimum !== undefined && exclusiveMaximum !== undefined)
    return ` of at least ${minimum}, below ${exclusiveMaximum}`;
  // zod bounds every whole number by what a double holds exactly; that says nothing about the field.
  const top = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? maximum : undefined;
  const bottom = minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER ? minimum : undefined;
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}${top === undefined ? '' : `, at most ${top}`}`;
  if (bottom !== undefined) return top === undefined ? ` of at least ${bottom}` : ` from ${bottom} to ${top}`;
  return top === undefined ? '' : ` of at most ${top}`;
}
