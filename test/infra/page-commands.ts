import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Every page of the project. */
export const pages = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*README.md', '*LOG.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .trim()
  .split('\n');

export interface Line {
  readonly page: string;
  readonly text: string;
}

/** The indented lines of a page, long ones joined and remarks taken off; fenced blocks are no commands. */
export function indentedLines(page: string): Line[] {
  const source = readFileSync(`${root}/${page}`, 'utf8')
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/\\\n\s+/g, '');
  return source
    .split('\n')
    .filter((line) => /^ {4,}\S/.test(line))
    .map((line) => ({ page, text: line.trim().replace(/ +# .*$/, '') }));
}

/** The JSON blocks of a page, in order. */
export function jsonBlocks(page: string): unknown[] {
  return [...readFileSync(`${root}/${page}`, 'utf8').matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, text]) =>
    JSON.parse(text!),
  );
}

/** The layout of the bucket as src/checkpoint/README.md has it. */
export const layoutKeys = (): string[] =>
  indentedLines('src/checkpoint/README.md')
    .filter(({ text }) => /^(runs\/<run>|logs\/<run>|indexes|filters|features|evaluations|embeddings)\//.test(text))
    .map(({ text }) => text.split(/ {2}/)[0]!);

/** A pattern for each line of it. */
export function layout(): RegExp[] {
  return layoutKeys().map((key) => {
    const pattern = key
      .replace(/[.]/g, '\\.')
      .replace(/<[a-z]+>/g, '[^/]+')
      .replace(/\br0\b/g, 'r\\d+')
      .replace(/0{3,}\d+/g, '\\d+');
    return new RegExp(`^${pattern}${key.endsWith('/') ? '.+' : '$'}`);
  });
}

/** What is indented and no command: what one sees, files of the bucket, JSON. */
const shown =
  /^((runs|logs)\/<run>\/|(indexes|filters|features|evaluations|embeddings)\/|round \d|slot \d|\{|\d{4}\.(jpg|json)$|Pictures in|zero-shot top|(image|text) to |(checkpoint|sha256|export) {2})/;

/** Lines that a person types, of all pages, each once. */
export function commands(): Line[] {
  const all = pages.flatMap(indentedLines).filter(({ text }) => !shown.test(text));
  return [...new Map(all.map((line) => [line.text, line])).values()];
}

/** The words of a line as bash makes them, with what it puts in for `$NAME` and `$(cat FILE)`. */
export function wordsOf(text: string): string[] {
  const env = { ...process.env, SIGLIP2_BUCKET: 'my-bucket' };
  return execFileSync('bash', ['-c', `printf '%s\\0' ${text}`], { cwd: root, encoding: 'utf8', env })
    .split('\0')
    .slice(0, -1);
}
