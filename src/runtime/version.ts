import { readFileSync } from 'node:fs';

/** Version of this code, as manifests and `--version` say it. */
export function codeVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
