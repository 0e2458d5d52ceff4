import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { images } from '../../src/runtime/image.ts';
import { codeVersion } from '../../src/runtime/version.ts';
import { root } from './page-commands.ts';

/** The values of a flag that may come several times. */
const values = (words: readonly string[], flag: string) =>
  words.flatMap((word, i) => (word === flag ? [words[i + 1]!] : []));

/**
 * Holds a line with docker against what is here: Dockerfile and target of a build, files and services of a compose.
 * Returns the words that go to a command of ours, where the line runs one.
 */
export function dockerLine(words: readonly string[]): readonly string[] {
  for (const file of [...values(words, '-f'), ...values(words, '--file')])
    expect(existsSync(`${root}/${file}`), file).toBe(true);
  const tagged = words.find((word) => word.startsWith('siglip2-runner:'));
  if (words[1] === 'build') {
    const [target] = values(words, '--target');
    expect(Object.keys(images)).toContain(target);
    expect(values(words, '--tag')).toEqual([`siglip2-runner:${codeVersion()}-${target}`]);
    return [];
  }
  if (words[1] === 'compose') {
    const { services } = parse(readFileSync(`${root}/infra/compose/compose.yaml`, 'utf8'), { merge: true });
    const verb = words.findIndex((word) => ['up', 'run', 'ps', 'stop', 'kill', 'down', 'logs', 'exec'].includes(word));
    expect(verb, words.join(' ')).toBeGreaterThan(1);
    const rest = words.slice(verb + 1).filter((word) => !word.startsWith('-'));
    if (rest.length > 0 && words[verb] !== 'down') expect(Object.keys(services)).toContain(rest[0]);
    return words[verb] === 'run' && rest[0] === 'siglip2' ? words.slice(words.indexOf('siglip2') + 1) : [];
  }
  expect([words[1], tagged !== undefined]).toEqual(['run', true]);
  expect(Object.keys(images).map((image) => `siglip2-runner:${codeVersion()}-${image}`)).toContain(tagged);
  const ours = words.slice(words.indexOf(tagged!) + 1);
  return ours[0] === 'siglip2' ? ours.slice(1) : [];
}
