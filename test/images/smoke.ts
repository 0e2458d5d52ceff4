import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import getPort from 'get-port';
import { exitCodes } from '../../src/runtime/exit-codes.ts';
import type { ImageName } from '../../src/runtime/image.ts';
import { type Site, startSite, startWorker, until } from '../faults/harness.ts';
import { answerOf } from '../support/answer-of.ts';
import { signalContained } from './contain.ts';
import { lookAtImage } from './look.ts';
import { type Opened, openImage } from './opened.ts';

type Say = (line: string) => void;

const smoke = (): object =>
  JSON.parse(readFileSync(new URL('../../infra/recipes/smoke.json', import.meta.url), 'utf8'));

async function shaOf(site: Site, run: string): Promise<string> {
  const { phases } = await (await site.start(run, smoke())).result();
  return phases.map(({ checkpoint }) => checkpoint.sha256).join(' ');
}

/** A worker in a container until it is asked to end, which it has to do by itself. */
async function withWorker<T>(opened: Opened, env: Readonly<Record<string, string>>, use: () => Promise<T>): Promise<T> {
  const own = { ...env, SIGLIP2_METRICS: String(await getPort({ host: '127.0.0.1' })) };
  const worker = opened.start(opened.config.command, own);
  const ended = answerOf(worker);
  const health = () => opened.inside([...opened.config.health.slice(1), '--polls'], own);
  try {
    await until(async () => {
      if (worker.exitCode !== null) throw new Error(`the worker ended: ${(await ended).out}`);
      return (await health()).code === 0;
    });
    return await use();
  } finally {
    signalContained(worker, 'SIGTERM');
    const { code, out } = await ended;
    assert.equal(code, exitCodes.preempted.code, out);
    assert.match(out, /worker ended/);
  }
}

/**
 * Light and worker-cpu as containers against a Temporal and an S3 server of this machine: services are prepared, the
 * smoke recipe is trained, and ends with the bytes that a worker of this clone ends with.
 */
async function trainInImages(light: Opened, worker: Opened, say: Say): Promise<void> {
  const site = await startSite({ worker: false });
  try {
    const native = await startWorker(site, 'native');
    const expected = await shaOf(site, 'in-a-clone').finally(() => native.stop());
    say(`a worker of this clone: ${expected}`);
    const env = { ...site.services.environment };
    const fresh = { ...env, SIGLIP2_BUCKET: 'fresh', TEMPORAL_NAMESPACE: 'fresh' };
    assert.equal((await light.run(['prepare'], fresh)).code, 0);
    await withWorker(light, env, () =>
      withWorker(worker, env, async () => {
        assert.equal(await shaOf(site, 'in-images'), expected);
        const status = await light.run(['siglip2', 'status', 'in-images'], env);
        assert.equal(status.code, 0, status.said);
        assert.ok(status.out.includes(`sha256 ${expected.slice(0, 12)}`), status.out);
        // The next start has them.
        const kept = await worker.inside(['sh', '-c', 'ls /var/lib/siglip2/programs | wc -l']);
        assert.ok(Number(kept.out) > 1, `programs: ${kept.out}${kept.said}`);
      }),
    );
    say('light and worker-cpu: the same bytes; both ended on SIGTERM as process 1');
  } finally {
    await site.stop();
  }
}

/** Opens what was built, looks at each, and trains where both images are there. */
export async function smokeImages(wanted: readonly ImageName[], work: string, say: Say): Promise<void> {
  const own = mkdtempSync(join(work, 'smoke-'));
  const opened: Partial<Record<ImageName, Opened>> = {};
  try {
    for (const image of wanted) {
      opened[image] = await openImage(image, own);
      // Without a GPU the doctor of worker-cuda is right to complain.
      if (image !== 'worker-cuda') await lookAtImage(opened[image], say);
    }
    const { light, 'worker-cpu': worker } = opened;
    if (light && worker) await trainInImages(light, worker, say);
    else say('nothing was trained: that takes light and worker-cpu');
  } finally {
    for (const image of Object.values(opened)) await image.release();
    rmSync(own, { recursive: true, force: true });
  }
}
