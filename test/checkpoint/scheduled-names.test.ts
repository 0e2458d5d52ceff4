import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { commitKey, parseCommitKey } from '../../src/checkpoint/keys.ts';
import { findNamed, parseName, runNameProblem } from '../../src/checkpoint/names.ts';
import { pin, pinsOf, unpin } from '../../src/checkpoint/pins.ts';
import { pullCheckpoint } from '../../src/checkpoint/pull.ts';
import { listRuns } from '../../src/commands/list-runs.ts';
import { remove } from '../../src/commands/remove.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { makeSnapshot } from './snapshot.ts';

/** As a schedule of Temporal names what it starts. */
const run = 'nightly-2026-11-26T12:44:47Z';
let server: TestServer;
let folder: string;
beforeAll(async () => {
  server = await startServer();
  folder = mkdtempSync(join(tmpdir(), 'scheduled-'));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

describe('a run that a schedule names', () => {
  it('is kept, listed, held, fetched and removed under that name', async () => {
    const store = server.store();
    await commitCheckpoint(store, await makeSnapshot({ run, step: 10, attempt: 'a' }));
    await commitCheckpoint(store, await makeSnapshot({ run: 'nightly', step: 20, attempt: 'a' }));
    const at = { run, phase: 'pretrain', revision: 0, step: 10 };
    expect(parseCommitKey(commitKey(at))).toEqual(at);
    expect(await findNamed(store, `${run}/pretrain`)).toEqual(at);
    expect(parseName(`${run}/pretrain@10`)).toEqual({ run, phase: 'pretrain', step: 10 });
    const lines = [];
    for await (const line of listRuns(store)) lines.push(line.split(' ')[0]);
    expect(lines).toEqual(['nightly/pretrain@20', `${run}/pretrain@10`].sort());
    await pin(store, at, `${run}.distill`);
    expect(await pinsOf(store, at)).toMatchObject([{ run, step: 10, who: `${run}.distill` }]);
    await unpin(store, at, `${run}.distill`);
    const pulled = join(folder, run);
    await pullCheckpoint(store, run, pulled);
    expect(JSON.parse(readFileSync(join(pulled, 'manifest.json'), 'utf8'))).toMatchObject({ run, step: 10 });
    for await (const _ of remove(store, run, { run }, true));
    const left: string[] = [];
    for await (const { key } of store.list('runs/')) left.push(key);
    expect(left.filter((key) => key.startsWith(`runs/${run}/`))).toEqual([]);
    expect(left.length).toBeGreaterThan(0);
  });

  it('is told from what can name none, which is said with what is allowed', () => {
    expect([run, 'a', '_x', 'x'.repeat(200)].map(runNameProblem)).toEqual([null, null, null, null]);
    for (const wrong of ['-x', 'team/run', 'a b', 'ä', '', '..', 'x'.repeat(201)])
      expect(runNameProblem(wrong)).toMatch(/can't name a run; allowed: at most 200 of A-Z, .* and no - at the start$/);
  });

  it('can be gone on from by a recipe', () => {
    const { phases } = parseRecipe({
      version: 1,
      data: { train: 'data' },
      schedule: { total: { steps: 1 } },
      phases: [{ name: 'tune', batch: 2, from: { run, phase: 'pretrain' } }],
    });
    expect(phases[0]!.from).toEqual({ run, phase: 'pretrain' });
  });
});
