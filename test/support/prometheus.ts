import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import { prometheusProgram } from './programs.ts';

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus of this test's own, on loopback and in a folder of its own. */
export interface Prometheus {
  /** What an expression comes to now. Rejects with what Prometheus says of one that means nothing. */
  query(expr: string): Promise<readonly Sample[]>;
  /** Names of all series that it has. */
  names(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** Scrapes an address every two seconds, and looks at alerts as often. Null where there is no Prometheus to be had. */
export async function startPrometheus(target: string, rules: readonly string[]): Promise<Prometheus | null> {
  const program = await prometheusProgram('prometheus');
  if (program === null) return null;
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-prometheus-'));
  const port = await getPort({ host: '127.0.0.1' });
  const config = {
    global: { scrape_interval: '2s', evaluation_interval: '2s' },
    rule_files: rules,
    scrape_configs: [{ job_name: 'siglip2', static_configs: [{ targets: [target] }] }],
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const flags = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=warn',
  ];
  const child = spawn(program, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  const said: string[] = [];
  child.stderr.on('data', (text) => said.push(String(text)));
  const at = `http://127.0.0.1:${port}`;
  try {
    await ready(at, child, said);
  } catch (error) {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  const ask = async (path: string) => {
    const answer = (await (await fetch(`${at}/api/v1/${path}`)).json()) as {
      status: string;
      data: unknown;
      error?: string;
    };
    if (answer.status !== 'success') throw new Error(answer.error);
    return answer.data;
  };
  return {
    async query(expr) {
      const { result } = (await ask(`query?query=${encodeURIComponent(expr)}`)) as {
        result: { metric: Record<string, string>; value: [number, string] }[];
      };
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    names: async () => (await ask('label/__name__/values')) as string[],
    async stop() {
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ready(at: string, child: ChildProcess, said: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}: ${said.join('')}`);
    const { ok } = await fetch(`${at}/-/ready`).catch(() => ({ ok: false }));
    if (ok) return;
    await delay(100);
  }
  throw new Error(`Prometheus did not get ready: ${said.join('')}`);
}
