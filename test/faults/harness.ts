import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import getPort from 'get-port';
import { type Services, startServices } from '../../infra/services/start.ts';
import { silent } from '../../infra/setup/progress.ts';
import { findCommits } from '../../src/checkpoint/commits.ts';
import { isAlive, type ProcessName } from '../../src/runtime/services-state.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import type { RecipeResult } from '../../workflows/results.ts';
import { drawnEmoji, drawnNoisyEmoji } from '../support/drawn-emoji.ts';
import '../support/ends-with-vitest.ts';
import type { Trouble } from './schedule.ts';
import { startWeather, type Weather } from './weather.ts';

export type Run = WorkflowHandleWithFirstExecutionRunId<typeof siglip2Recipe>;
export type Victim = 'worker' | 'trainer' | 's3' | 'temporal';

/** Everything that `npm run up` starts, in a folder of its own, with a small real data set in the bucket. */
export interface Site {
  readonly folder: string;
  readonly services: Services;
  readonly store: S3ObjectStore;
  readonly client: Client;
  start(run: string, recipe: object): Promise<Run>;
  /** The trainer that has the device now, whether it still lives or not. */
  trainer(): ProcessName | null;
  /** SIGKILL; returns which process it was. */
  kill(victim: Victim): ProcessName;
  process(name: Exclude<Victim, 'trainer'>): ProcessName | null;
  /** How often what was killed was started again. */
  restarts(name: Exclude<Victim, 'trainer'>): number;
  /** What the worker shows to Prometheus, and where. */
  metrics(): Promise<string>;
  readonly metricsAddress: string;
  /** Lines of a service's log so far. */
  log(service: string): string;
  /** Trouble that begins, or ends; only on a site that was started with weather. */
  trouble(what: Trouble, on: boolean): void;
  stop(): Promise<void>;
}

/**
 * @param worker false when each test starts its own
 * @param weather the worker reaches its services through proxies, and its disk can be full
 * @param noisy with the data sets of curation beside the others
 */
export async function startSite({ worker = true, weather = false, noisy = false } = {}): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-faults-'));
  // The device's lock and the snapshots lie here too: another worker of this machine is not in the way.
  const metricsPort = await getPort({ host: '127.0.0.1' });
  const environment = { SIGLIP2_STATE: folder, SIGLIP2_METRICS: String(metricsPort) };
  const services = await startServices({
    folder,
    worker: worker && !weather,
    ports: 'free',
    progress: silent,
    environment,
    bound: true,
  });
  const store = new S3ObjectStore(services.s3!);
  const connection = await Connection.connect({ address: services.temporal!.address });
  const client = new Client({ connection });
  await drawnEmoji(store, { concepts: 64, scenes: 64 });
  if (noisy) await drawnNoisyEmoji(store, { concepts: 64, noise: 0.4 });
  const air = weather ? await startTroubled(folder, services) : null;
  const read = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8'));
  // Behind weather the worker has a supervisor and a folder of its own.
  const own = (name: string) =>
    air && name === 'worker' ? { folder: 'air', services: air.worker } : { folder: '', services };
  const site: Site = {
    folder,
    services,
    store,
    client,
    start: (run, recipe) =>
      client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
        taskQueue: 'siglip2',
        workflowId: run,
        // A start whose answer was lost is made again.
        workflowIdConflictPolicy: 'USE_EXISTING',
        args: [recipe],
      }),
    trainer() {
      try {
        return read('device.lock.trainer');
      } catch {
        return null;
      }
    },
    process: (name) => read(join(own(name).folder, 'services.json')).children[name] ?? null,
    kill(victim) {
      const found = victim === 'trainer' ? site.trainer() : site.process(victim);
      if (!found || !isAlive(found)) throw new Error(`there is no living ${victim} to kill`);
      process.kill(found.pid, 'SIGKILL');
      return found;
    },
    restarts: (name) => own(name).services.restarts(name),
    log: (service) => readFileSync(join(folder, own(service).folder, 'logs', `${service}.log`), 'utf8'),
    metricsAddress: `127.0.0.1:${metricsPort}`,
    metrics: async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(),
    trouble: (what, on) => air!.trouble(what, on),
    async stop() {
      await air?.stop();
      await connection.close();
      store.close();
      await services.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return site;
}

interface Troubled {
  readonly worker: Services;
  trouble(what: Trouble, on: boolean): void;
  stop(): Promise<void>;
}

/** The worker of a site, behind weather. Its lock and snapshots lie where those of a worker in the open would. */
async function startTroubled(folder: string, services: Services): Promise<Troubled> {
  const portOf = (url: string) => Number(url.split(':').at(-1));
  const s3 = await startWeather(portOf(services.s3!.endpoint!));
  const temporal = await startWeather(portOf(services.temporal!.address));
  const full = join(folder, 'disk-is-full');
  const worker = await startWorker({ folder, services }, 'air', {
    SIGLIP2_STATE: folder,
    AWS_ENDPOINT_URL: `http://127.0.0.1:${s3.port}`,
    TEMPORAL_ADDRESS: `127.0.0.1:${temporal.port}`,
    NODE_OPTIONS: `--import ${new URL(`no-space.mjs?while=${encodeURIComponent(full)}`, import.meta.url).href}`,
  });
  return {
    worker,
    trouble(what, on) {
      if (what === 'disk full') return on ? writeFileSync(full, '') : rmSync(full, { force: true });
      const [service, kind] = what.split(' ') as ['s3' | 'temporal', Weather];
      (service === 's3' ? s3 : temporal).become(on ? kind : 'calm');
    },
    async stop() {
      for (const proxy of [s3, temporal]) proxy.become('calm');
      await worker.stop();
      await Promise.all([s3.close(), temporal.close()]);
    },
  };
}

/** A worker alone on a site's services, with changes to its environment; its logs lie in `site.folder/name`. */
export function startWorker(
  { folder, services }: Pick<Site, 'folder' | 'services'>,
  name: string,
  changes: Readonly<Record<string, string>> = {},
): Promise<Services> {
  const own = join(folder, name);
  const environment = { ...services.environment, SIGLIP2_METRICS: '', SIGLIP2_STATE: own, ...changes };
  return startServices({ folder: own, only: [], worker: true, progress: silent, environment, bound: true });
}

/** Small enough for seconds, and long enough to be hit in the middle. */
export function tinyRecipe(changes: object = {}): object {
  const size = { width: 16, depth: 1, mlp: 32, heads: 2 };
  return {
    version: 1,
    seed: 1,
    model: {
      vision: { size, patch: 8, resolution: 16 },
      text: { size, length: 8, vocabulary: 'compact' },
      init: { logitBias: -3.5 },
    },
    data: { train: 'data/emoji/train', evaluation: 'data/emoji/held-out' },
    schedule: { total: { steps: 800 }, warmup: { steps: 20 } },
    phases: [{ name: 'pretrain', batch: 32 }],
    checkpoint: { every: { steps: 40 }, shard: { steps: 200 } },
    ...changes,
  };
}

/** The same in rounds of four replicas: eight of them, of 25 steps each. */
export const roundsRecipe = (changes: object = {}): object =>
  tinyRecipe({ phases: [{ name: 'pretrain', batch: 32, replicas: { number: 4, steps: 25 } }], ...changes });

/** Looks again and again until it is so. The patience is for loaded machines, and no measure of anything. */
export async function until(what: () => unknown, patienceMs = 240_000): Promise<void> {
  for (const end = Date.now() + patienceMs; !(await what()); await delay(20))
    if (Date.now() > end) throw new Error(`it did not come true within ${patienceMs / 1000} s: ${what}`);
}

/** Step of the newest commit of a run, 0 before the first. A store that is away is waited for. */
export async function newestStep({ store }: Pick<Site, 'store'>, run: string): Promise<number> {
  const found = await findCommits(store, { run }).catch(() => []);
  return Math.max(0, ...found.map(({ step }) => step));
}

/** A run on its way. Waiting for a step of it ends at once when the run does. */
export class Watched {
  readonly name: string;
  readonly result: Promise<RecipeResult>;
  readonly #site: Site;
  #ended: unknown;

  constructor(site: Site, run: Run) {
    this.#site = site;
    this.name = run.workflowId;
    this.result = run.result();
    const ended = (how: unknown) => {
      this.#ended = how;
    };
    this.result.then(() => ended(new Error(`${this.name} ended before it was hit`)), ended);
  }

  /** Returns the step of the newest commit as soon as that is `step` or more. */
  async reach(step: number): Promise<number> {
    let newest = 0;
    await this.until(async () => {
      newest = await newestStep(this.#site, this.name);
      return newest >= step;
    });
    return newest;
  }

  async until(what: () => unknown): Promise<void> {
    await until(async () => {
      if (this.#ended) throw this.#ended;
      return what();
    });
  }
}

interface Written {
  readonly data: object;
  readonly phases: readonly { readonly name: string; readonly curation?: object }[];
}

const written = (file: string): Written =>
  JSON.parse(readFileSync(new URL(`../../infra/recipes/${file}`, import.meta.url), 'utf8'));

/** The recipe of the whole phase graph in tiny, with every objective. */
export const graphRecipe = (): Written => written('graph.json');

/** A student, a teacher that is fine-tuned, and the student again on what the teacher finds learnable; in tiny. */
export const acidRecipe = (): Written => written('acid.json');
