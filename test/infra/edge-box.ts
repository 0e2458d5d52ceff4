import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { paths } from '../../src/runtime/paths.ts';
import { type Answer, answerOf } from '../support/answer-of.ts';

export const project = fileURLToPath(new URL('../..', import.meta.url));
export const script = join(project, 'infra/edge/edge.sh');
export const standIn = join(project, 'test/infra/systemctl-stand-in.sh');

/** A machine of its own below a folder: a repository that versions come from, and what `edge.sh` makes of them. */
export class EdgeBox {
  readonly root: string;
  readonly prefix: string;
  readonly source: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Options of every command. */
  readonly options: readonly string[];

  constructor(root: string) {
    this.root = root;
    this.prefix = join(root, 'opt/siglip2');
    this.source = join(root, 'source');
    this.environment = { ...process.env, EDGE_ROOT: root };
    this.options = [
      ...['--root', root, '--user', userInfo().username, '--cache', paths().cache, '--settle', '2'],
      ...['--systemctl', standIn],
    ];
    mkdirSync(this.source, { recursive: true });
    this.#git('init', '-q');
  }

  /** Commits these files, and all that lies there; returns the folder that this version will have. */
  version(files: Readonly<Record<string, string>> = {}): string {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.source, name)), { recursive: true });
      writeFileSync(join(this.source, name), text);
    }
    this.#git('add', '-A');
    this.#git('commit', '-qm', 'a version');
    return `releases/${this.#git('rev-parse', 'HEAD').slice(0, 12)}`;
  }

  edge(...args: string[]): Promise<Answer> {
    return answerOf(spawn(script, [...args, ...this.options], { env: this.environment }));
  }

  systemctl(action: string): void {
    execFileSync(standIn, [action], { env: this.environment, stdio: 'ignore' });
  }

  get current(): string {
    return readlinkSync(join(this.prefix, 'current'));
  }

  /** Process id of the worker, or of what stands for it. */
  get pid(): number {
    return Number(readFileSync(join(this.root, 'pid'), 'utf8'));
  }

  /** Folder that it runs in. */
  get runsIn(): string {
    return readlinkSync(`/proc/${this.pid}/cwd`);
  }

  #git(...args: string[]): string {
    const own = ['-C', this.source, '-c', 'user.name=edge', '-c', 'user.email=edge@example.org'];
    return execFileSync('git', [...own, ...args], { encoding: 'utf8' });
  }
}
