import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import { spread } from '../bench/statistics.ts';
import { type CrewMember, startCrew, stopCrew } from './crew.ts';
import { type Run, roundsRecipe, type Site, startSite, until } from './harness.ts';
import { RoundsKiller } from './rounds-killer.ts';
import type { RoundsFault } from './rounds-schedule.ts';
import { verifyCommits } from './verify.ts';

const patience = 600_000;
let site: Site;
let crew: CrewMember[] = [];

beforeAll(async () => {
  site = await startSite({ worker: false });
  crew = await startCrew(site, 2);
}, patience);
afterAll(async () => {
  await stopCrew(crew);
  await site?.stop();
}, patience);

const recipe = roundsRecipe({ schedule: { total: { steps: 200 }, warmup: { steps: 20 } } });
const shaOf = async (run: Run) => (await run.result()).phases[0]!.checkpoint.sha256;

interface LaneStart {
  readonly trainer: number;
  readonly fetch: number;
  readonly state: number;
  readonly total: number;
}

/** What each worker has said of the first steps of its lanes, in their order. */
const laneStarts = () =>
  crew.map(({ name }) =>
    readFileSync(join(site.folder, name, 'logs/worker.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"first step of a lane"'))
      .map((line) => (JSON.parse(line) as { seconds: LaneStart }).seconds),
  );

/** Seconds beside what is there to be loaded: the checkpoint, and the state into the trainer. */
const withoutLoad = ({ fetch, state, total }: LaneStart) => total - fetch - state;

// The long form is `npm run faults -- --rounds`.
it(
  'a run in rounds ends with the bytes of one that nobody disturbed when who merges, a worker and a trainer are killed, one is frozen, and the store is away',
  async () => {
    const expected = await shaOf(await site.start('calm', recipe));
    const starts = laneStarts();
    expect(starts.flat()).toHaveLength(8);
    for (const [first, ...later] of starts) {
      // One that never saw the phase has to start a trainer and to compile, both of them at once here: 20 s where it is alone.
      expect(withoutLoad(first!)).toBeLessThan(40);
      const { median } = spread(later.map(withoutLoad));
      expect(median).toBeLessThan(5);
    }
    const faults: readonly RoundsFault[] = [
      { what: 'kill trainer', worker: 0, after: 1 },
      { what: 'kill merger', worker: 0, after: 0 },
      { what: 'freeze worker', worker: 1, after: 0.5, lasts: 10 },
      { what: 'kill s3', worker: 0, after: 0.5 },
    ];
    const killer = new RoundsKiller(site, crew, faults, () => {});
    const run = await site.start('disturbed', recipe);
    let running = true;
    const end = shaOf(run).finally(() => {
      running = false;
    });
    end.catch(() => {});
    await killer.haunt('disturbed', () => running);
    expect(await end).toBe(expected);
    expect(Object.keys(killer.done).length).toBeGreaterThan(2);
    expect((await verifyCommits(site.store, 'disturbed')).at(-1)).toMatchObject({ step: 200, sha256: expected });
    await until(() => killer.survivors().length === 0);
    await sweepRun(site.store, 'disturbed', { graceMs: 0 });
    expect(await findUnreferenced(site.store, 'disturbed')).toEqual([]);
  },
  patience,
);
