import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Answer, answerOf } from '../support/answer-of.ts';
import { root } from './page-commands.ts';
import { typedForReal } from './typed-for-real.ts';

/** What stands in a line of a page, and what there is here in its place. */
export type Names = Readonly<Record<string, string>>;

/** A clone in which commands may write, what `npm run up` starts in it, and the lines of the pages that are typed there, in their order. */
export class PageSite {
  readonly folder = mkdtempSync(join(tmpdir(), 'siglip2-pages-'));
  readonly env: NodeJS.ProcessEnv = { ...process.env, SIGLIP2_STATE: join(this.folder, 'state') };
  readonly #left = [...typedForReal];
  #up: ChildProcess | undefined;

  constructor() {
    for (const name of Object.keys(this.env))
      if (/^(AWS|TEMPORAL)_|^SIGLIP2_(BUCKET|TEMPORAL|VERSITYGW)$/.test(name)) delete this.env[name];
    for (const name of ['package.json', 'package-lock.json', 'src', 'workflows', 'activities', 'infra'])
      cpSync(join(root, name), join(this.folder, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'));
  }

  at = (name: string) => join(this.folder, name);
  read = (name: string) => readFileSync(this.at(name));
  json = (name: string) => JSON.parse(readFileSync(this.at(name), 'utf8'));

  #start(line: string) {
    return spawn('bash', ['-c', line], { cwd: this.folder, env: this.env, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** What a line answers that is not of the pages. */
  ask(line: string): Promise<Answer> {
    const child = this.#start(line);
    child.stdin.end();
    return answerOf(child);
  }

  /** That the next line of the list is this one. */
  next(text: string): void {
    expect(this.#left.shift()).toBe(text);
  }

  async #typed(text: string, names: Names, then = ''): Promise<Answer> {
    this.next(text);
    return this.ask(Object.entries(names).reduce((line, [from, to]) => line.replace(from, to), text) + then);
  }

  /** Types the next line of the list in a shell, with the names that there are here, and gives what it answers. */
  async type(text: string, names: Names = {}, then = ''): Promise<string> {
    const { code, out, said } = await this.#typed(text, names, then);
    expect([code, code === 0 ? '' : said], text).toEqual([0, '']);
    return out;
  }

  /** The same of a line that can't be done here: gives the sentence that says why. */
  async refused(text: string, names: Names = {}): Promise<string> {
    const { code, said } = await this.#typed(text, names);
    expect([code, /^ +at /m.test(said)], `${text}\n${said}`).toEqual([1, false]);
    return said;
  }

  async until(what: string, done: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 120_000; Date.now() < end; await delay(200)) if (await done()) return;
    throw new Error(`waited in vain for ${what}`);
  }

  /** Waits until a workflow says that it is in a state. */
  untilState(workflow: string, state: string): Promise<void> {
    return this.until(`${workflow} to be ${state}`, async () => {
      const { state: now, failure } = await this.query('status', workflow);
      if (now === 'failed') throw new Error(`${workflow} has failed: ${failure}`);
      return now === state;
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: what a query answers is what is looked at
  async query(type: string, workflow: string): Promise<any> {
    const { out } = await this.ask(`temporal workflow query --type ${type} --workflow-id ${workflow} --output json`);
    return answered(out);
  }

  async up(): Promise<void> {
    this.next('npm run up');
    this.#up = this.#start('exec npm run up');
    let banner = '';
    this.#up.stdout!.on('data', (data) => {
      banner += data;
    });
    await this.until('npm run up', async () => banner.includes('Ctrl-C stops everything.'));
    expect(banner).toContain(`Logs      ${this.folder}/state/logs`);
  }

  async down(signal: NodeJS.Signals): Promise<void> {
    if (!this.#up || this.#up.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#up!.on('close', resolve));
    this.#up.kill(signal);
    await ended;
  }

  /** That every line of the list was typed. */
  allTyped(): void {
    expect(this.#left).toEqual([]);
  }

  async clear(): Promise<void> {
    await this.down('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The result in what `temporal workflow query --output json` prints. */
export function answered(out: string) {
  try {
    return JSON.parse(out).queryResult[0] ?? {};
  } catch {
    return {};
  }
}
