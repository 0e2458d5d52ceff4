import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { indexData } from '../../src/data/index/index-data.ts';
import { mixedIndex } from '../../src/data/index/mixed-index.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import type { Snapshot, StepRecord, TrainJob } from '../../src/trainer/protocol.ts';
import { TrainingSession } from '../../src/trainer/session.ts';
import { picture } from '../data/img2dataset.ts';
import { tarOf } from '../data/tar-file.ts';
import { startServer } from '../storage/versitygw.ts';
import { tinySettings } from '../train/settings.ts';

const begins = { step: 0, examples: 0 };

it('a phase trains on a mixture, tells what it drew and passed over, and counts on after a kill', async () => {
  const server = await startServer();
  const scratch = await mkdtemp(join(tmpdir(), 'siglip2-mixture-'));
  const before = { ...process.env };
  Object.assign(process.env, server.environment, { SIGLIP2_SCRATCH: scratch });
  const session = new TrainingSession();
  try {
    const store = server.store();
    for (const name of ['a', 'b']) {
      const members = Array.from({ length: 40 }, async (_, i) => [
        { name: `${i}.jpg`, body: await picture(i) },
        { name: `${i}.json`, body: JSON.stringify({ captions: { [i % 2 ? 'en' : 'de']: [`${name} ${i}`] } }) },
      ]);
      await store.put(`d/${name}/0.tar`, tarOf((await Promise.all(members)).flat()));
    }
    const mixture = [
      { name: 'a', train: 'd/a', weight: 3 },
      { name: 'b', train: 'd/b', weight: 1 },
    ];
    const sources = mixture.map(async ({ name, train }) => ({ name, index: await indexData(store, train) }));
    await writeFile(join(scratch, 'index.json'), JSON.stringify(mixedIndex(await Promise.all(sources)).document));
    const { batches } = tinySettings;
    const data = { ...batches.data, train: [], captions: [{ language: 'en', weight: 1 }], mixture };
    const settings: PhaseSettings = {
      ...tinySettings,
      batches: { ...batches, data, vocabulary: [0, 1, 3, 4, 5, 6, 7, 8, 9] },
    };
    const train = async (on: TrainingSession, change: Partial<TrainJob>) => {
      const [snapshots, records]: [Snapshot[], StepRecord[]] = [[], []];
      const job: TrainJob = {
        ...{ kind: 'train', settings, indexFile: join(scratch, 'index.json'), from: null, begins, skip: [] },
        ...{ toStep: 6, checkpointEvery: 2, snapshotFolder: join(scratch, `run-${Math.random()}`), ...change },
      };
      await on.train(job, {
        progress: (progress) => void records.push(...progress.records),
        snapshot: (snapshot) => void snapshots.push(snapshot),
        ...{ note() {}, pace() {}, uploaded: () => null, stopWanted: () => false },
      });
      return { snapshots, records };
    };
    const whole = await train(session, {});
    const passed = whole.snapshots.map(({ filtered }) => filtered!);
    expect(passed[0]).toBeGreaterThan(0);
    expect(passed).toEqual([...passed].sort((x, y) => x - y));
    expect(whole.snapshots.flatMap(({ skipped }) => skipped)).toEqual([]);
    const examples = 6 * batches.batch;
    const last = whole.records.at(-1)!.values;
    expect(last['data/filtered']).toBe(passed[2]);
    expect(last['source/a/epoch']).toBeCloseTo((0.75 * examples) / 40, 0);
    expect(last['source/b/epoch']).toBeCloseTo((0.25 * examples) / 40, 0);
    const shares = whole.records.map(({ values }) => values['source/a/drawn']! * batches.batch);
    expect(Math.abs(shares.reduce((sum, own) => sum + own, 0) - 0.75 * examples)).toBeLessThan(0.15 * examples);
    const { folder, sha256, step, filtered } = whole.snapshots[0]!;
    const from = { folder, sha256, step, examples: whole.snapshots[0]!.examples };
    const killed = new TrainingSession();
    const rest = await train(killed, { from, filtered });
    await killed.close();
    const told = ({ sha256, filtered }: Snapshot) => [sha256, filtered];
    expect(rest.snapshots.map(told)).toEqual(whole.snapshots.slice(1).map(told));
  } finally {
    await session.close();
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  }
}, 120_000);
