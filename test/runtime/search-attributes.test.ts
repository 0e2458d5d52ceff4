import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  ensureSearchAttributes,
  lookAtSearchAttributes,
  searchAttributes,
  untilSearchable,
} from '../../src/runtime/search-attributes.ts';
import { cli } from '../support/cli.ts';
import { testServices } from '../support/services.ts';
import { type Gate, startGuard } from '../support/temporal-gate.ts';

const services = testServices({ only: ['temporal'] });
let connection: Connection;
let cloud: Gate;
/** Like Temporal Cloud, which lets nobody near its operators' calls. */
let asInCloud: Connection;

beforeAll(async () => {
  const { address } = services().temporal!;
  connection = await Connection.connect({ address });
  cloud = await startGuard(address, (headers) =>
    headers[':path']?.includes('OperatorService') ? { code: 7, words: 'Request unauthorized.' } : null,
  );
  asInCloud = await Connection.connect({ address: `127.0.0.1:${cloud.port}` });
  for (const namespace of ['bare', 'wrong']) {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
    });
    // A namespace is known to all of the server after a while.
    await vi.waitFor(() => connection.operatorService.listSearchAttributes({ namespace }), 20_000);
  }
}, 60_000);
afterAll(async () => {
  await connection.close();
  await asInCloud.close();
  await cloud.close();
});

const context = (namespace: string, address = 'temporal.example.org:7233') => ({ namespace, address });
const all = (state: string) => Object.fromEntries(Object.keys(searchAttributes).map((name) => [name, state]));

it('where nobody may list them they are looked for by queries', async () => {
  expect(await lookAtSearchAttributes(asInCloud, 'default')).toEqual(all('there'));
  expect(await lookAtSearchAttributes(asInCloud, 'bare')).toEqual(all('missing'));
  expect(await ensureSearchAttributes(asInCloud, context('default'))).toEqual([]);
});

it('where nobody may make them it is said who may, and how', async () => {
  const missing = 'SiglipRun, SiglipPhase, SiglipState, SiglipStep';
  await expect(ensureSearchAttributes(asInCloud, context('bare'))).rejects.toThrow(
    `namespace bare lacks search attributes (${missing}), and this client may not add them (Request unauthorized); who may types temporal operator search-attribute create --namespace bare --name SiglipRun --type Keyword --name SiglipPhase --type Keyword --name SiglipState --type Keyword --name SiglipStep --type Int`,
  );
  const inCloud = context('bare', 'bare.a1b2c.tmprl.cloud:7233');
  await expect(ensureSearchAttributes(asInCloud, inCloud)).rejects.toThrow(
    'who may types tcld namespace search-attributes add --namespace bare --sa "SiglipRun=Keyword" --sa "SiglipPhase=Keyword" --sa "SiglipState=Keyword" --sa "SiglipStep=Int", or the namespace\'s page at cloud.temporal.io',
  );
});

it('one of another type is told, with what to do', async () => {
  await connection.operatorService.addSearchAttributes({ namespace: 'wrong', searchAttributes: { SiglipStep: 2 } });
  await vi.waitFor(async () => {
    await expect(ensureSearchAttributes(connection, context('wrong'))).rejects.toThrow(
      'search attribute SiglipStep of namespace wrong is Keyword and must be Int; use another namespace, or, if nobody needs it, type temporal operator search-attribute remove --namespace wrong --name SiglipStep and then npm run siglip2 -- setup-namespace',
    );
  }, 20_000);
}, 30_000);

it('setup-namespace makes those that are missing, and says which there were', async () => {
  const bare = { TEMPORAL_ADDRESS: services().temporal!.address, TEMPORAL_NAMESPACE: 'bare' };
  const setUp = () => cli(bare, 'setup-namespace');
  const line = (name: string, type: string, done: string) => `  ${name.padEnd(12)} ${type.padEnd(8)} ${done}\n`;
  const report = (done: string) =>
    `Search attributes of namespace bare:\n${line('SiglipRun', 'Keyword', done)}${line('SiglipPhase', 'Keyword', done)}${line('SiglipState', 'Keyword', done)}${line('SiglipStep', 'Int', done)}`;
  expect(await setUp()).toEqual({ code: 0, out: report('made'), said: '' });
  // They can be used as soon as it has ended.
  expect(await untilSearchable(connection, 'bare')).toBe(true);
  expect(await setUp()).toEqual({ code: 0, out: report('was there'), said: '' });
}, 60_000);
