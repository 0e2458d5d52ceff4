import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { createProgram } from '../../src/program.ts';
import { type Answer, answerOf } from '../support/answer-of.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
const bootstrap = 'exec node infra/setup/bootstrap.mjs ';
const typed = Object.entries(scripts).filter(([, line]) => line.startsWith(bootstrap));

const folder = mkdtempSync(join(tmpdir(), 'siglip2-help-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Types the line of a script, on a machine where nothing is set up. */
function type(line: string, ...args: string[]): Promise<Answer> {
  const [program = '', ...first] = line.replace('exec ', '').split(' ');
  const env = { ...process.env, SIGLIP2_CACHE: join(folder, 'cache'), SIGLIP2_STATE: join(folder, 'state') };
  const child = spawn(program, [...first, ...args], { cwd: root, env });
  return answerOf(child);
}

describe('--help', () => {
  it('of every script that a person types says in a sentence what it does, and neither starts nor sets up anything', async () => {
    expect(typed.map(([name]) => name).sort()).toEqual(
      [
        'bench',
        'compose',
        'curation',
        'demo',
        'faults',
        'images',
        'rounds',
        'scaler',
        'setup',
        'siglip2',
        'test',
        'tuning',
        'up',
        'worker',
      ].sort(),
    );
    const answers = await Promise.all(typed.map(([, line]) => type(line, '--help')));
    for (const [i, { code, out, said }] of answers.entries()) {
      const name = typed[i]![0];
      expect([name, code, said]).toEqual([name, 0, '']);
      expect(out).toMatch(
        new RegExp(`^Usage: npm ${name === 'test' ? '' : 'run '}${name} -- .*\\n\\n[A-Z][^\\n]+[^]*\\.\\n`),
      );
    }
    expect([existsSync(join(folder, 'cache')), existsSync(join(folder, 'state'))]).toEqual([false, false]);
  }, 180_000);

  it('is what siglip2 says without a command', async () => {
    const [bare, help] = await Promise.all([type(scripts.siglip2!), type(scripts.siglip2!, '--help')]);
    expect(bare).toEqual({ code: 0, out: help.out, said: '' });
  }, 180_000);

  it('of every command of siglip2 and of its options is one line', () => {
    const { commands } = createProgram();
    expect(commands.length).toBeGreaterThan(15);
    for (const command of commands) {
      expect(command.description(), command.name()).toMatch(/^[^\n]{10,110}$/);
      for (const { flags, description } of command.options) expect(description, flags).toMatch(/^[^\n]{5,110}$/);
    }
  });
});
