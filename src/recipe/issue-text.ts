import type { z } from 'zod';

/** What is wrong with one setting, in words: its name, what it is, what is allowed. */
export function issueText({ path, message, code }: z.core.$ZodIssue, json: unknown, schema: z.ZodType): string {
  const at = path.join('.') || 'the input';
  if (code === 'unrecognized_keys') {
    const names = namesAt(schema, path);
    return `${path.length === 0 ? '' : `${at}: `}${message}${names.length === 0 ? '' : `; allowed: ${names.join(', ')}`}`;
  }
  const said = path.reduce<unknown>((of, name) => (of as Record<PropertyKey, unknown> | undefined)?.[name], json);
  return `${at} ${said === undefined ? 'is missing' : `is ${JSON.stringify(said).slice(0, 80)}`}; allowed: ${message}`;
}

/** Names of the settings that a schema has at a place; none within a record or a choice. */
export function namesAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at: unknown = schema;
  for (const name of path) at = shapeOf(at)?.[String(name)];
  return Object.keys(shapeOf(at) ?? {});
}

function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  let at = schema as { shape?: Record<string, unknown>; def?: { innerType?: unknown } } | undefined;
  while (at && !at.shape && at.def?.innerType) at = at.def.innerType as typeof at;
  return at?.shape;
}
