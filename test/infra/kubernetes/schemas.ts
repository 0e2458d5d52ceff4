import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const read = (name: string) => JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8'));

/**
 * Writes the schemas that `fixtures/` keeps, each whole, as kubeconform asks for them.
 * @returns the folder, which is the caller's to remove
 */
export function writeSchemas(): string {
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-schemas-'));
  const { kinds, definitions } = read('kubernetes') as {
    kinds: Record<string, string>;
    definitions: Record<string, object>;
  };
  const keda = read('keda') as Record<string, object>;
  const native = Object.fromEntries(
    Object.entries(kinds).map(([kind, name]) => [kind, { allOf: [{ $ref: `#/definitions/${name}` }] }]),
  );
  const $schema = 'http://json-schema.org/draft-07/schema#';
  for (const [kind, schema] of Object.entries({ ...native, ...keda }))
    writeFileSync(join(folder, `${kind}.json`), JSON.stringify({ $schema, ...schema, definitions }));
  return folder;
}
