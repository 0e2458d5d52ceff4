import { afterAll, beforeAll, expect, it } from 'vitest';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { listRuns } from '../../src/commands/list-runs.ts';
import { makeSnapshot } from '../checkpoint/snapshot.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

it('tells of an imported model that it was imported, and of what was trained its loss', async () => {
  const store = server.store();
  await commitCheckpoint(store, await makeSnapshot({ run: 'base', phase: 'import', step: 0, attempt: 'a' }));
  await commitCheckpoint(store, await makeSnapshot({ run: 'tuned', phase: 'finetune', step: 10, attempt: 'a' }));
  const lines: string[] = [];
  for await (const line of listRuns(store)) lines.push(line);
  expect(lines).toEqual([
    expect.stringMatching(
      /^base\/import@0 +\d{4}-\d\d-\d\dT[\d:]{8}Z {2}imported +sha256 [0-9a-f]{12}\.\.\. {2}1 in all$/,
    ),
    expect.stringMatching(
      /^tuned\/finetune@10 +\d{4}-\d\d-\d\dT[\d:]{8}Z {2}loss \d+\.\d{3} {2}sha256 [0-9a-f]{12}\.\.\. {2}1 in all$/,
    ),
  ]);
});
