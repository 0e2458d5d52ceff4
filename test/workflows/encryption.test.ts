import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Context } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import getPort from 'get-port';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { prepare } from '../../infra/setup/prepare.ts';
import { serveCodec } from '../../src/commands/codec-server.ts';
import { readRunStatus } from '../../src/commands/run-status.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { encryption, payloadConverter, payloadKey } from '../../src/runtime/payload-codec.ts';
import { deviceQueue } from '../../workflows/policies.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { testServices } from '../support/services.ts';
import { activities, bundled, resultOf, runPlanOf } from './harness.ts';

const services = testServices({ only: ['temporal'] });
const key = randomBytes(32).toString('base64');
const dataConverter = payloadConverter({ SIGLIP2_PAYLOAD_KEY: key })!;
const secret = 'a-word-that-nobody-else-reads';
let native: NativeConnection;
let connection: Connection;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  const { address } = services().temporal!;
  native = await NativeConnection.connect({ address });
  connection = await Connection.connect({ address });
});
afterAll(async () => {
  await native.close();
  await connection.close();
});

async function serving(of: Partial<Activities>, work: (client: Client) => Promise<void>): Promise<void> {
  const common = { connection: native, activities: activities(of), dataConverter };
  const workflowBundle = await bundled(dataConverter.failureConverterPath);
  const workers = [
    await Worker.create({ ...common, workflowBundle, taskQueue: 'siglip2' }),
    await Worker.create({ ...common, taskQueue: deviceQueue, maxHeartbeatThrottleInterval: '100ms' }),
  ];
  const running = Promise.all(workers.map((worker) => worker.run()));
  try {
    await work(new Client({ connection, dataConverter }));
  } finally {
    for (const worker of workers) worker.shutdown();
    await running;
  }
}

/** What lies in the base64 of a history. */
const decoded = (history: string) =>
  [...history.matchAll(/"data": "([^"]*)"/g)].map(([, data]) => Buffer.from(data!, 'base64').toString());

describe('a run with a key', () => {
  it('leaves nothing that can be read in its history, and is read by who has the key', async () => {
    let failures = 0;
    const trainShard = async (input: ShardInput) => {
      for (let beats = 0; beats < 20; beats++) {
        Context.current().heartbeat({ step: 7, doing: secret });
        await delay(50);
      }
      if (input.toStep > 10 && failures++ === 0) throw new RunnerError('DiskFull', `the disk of ${secret} is full`);
      return resultOf(input, input.toStep);
    };
    const plan = async () => runPlanOf(secret.slice(0, 8), 20, 10);
    await serving({ trainShard, plan }, async (client) => {
      const run = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
        taskQueue: 'siglip2',
        workflowId: 'hidden',
        args: [{ note: secret }],
      });
      const live = () =>
        readRunStatus(client, new MemoryStore() as never, 'hidden').then(({ pending }) => pending[0]?.live);
      await expect.poll(live, { timeout: 10_000 }).toMatchObject({ step: 7, doing: secret });
      const state = () => run.query<{ state: string; failure: string }>('status');
      await expect.poll(async () => (await state()).failure, { timeout: 20_000 }).toBe(`the disk of ${secret} is full`);
      await run.executeUpdate('retryPhase', { args: [{ learningRate: 0.000123 }] });
      expect((await run.result()).phases[0]!.phase).toBe('pretrain');

      // As the Temporal CLI sees it, without the codec and with it.
      const { temporal: binary } = await prepare(['temporal']);
      const env = { ...process.env, TEMPORAL_ADDRESS: services().temporal!.address };
      const show = async (id: string, ...more: string[]) =>
        (
          await promisify(execFile)(binary!, ['workflow', 'show', '--workflow-id', id, '--output', 'json', ...more], {
            env,
            maxBuffer: 2 ** 26,
          })
        ).stdout;
      const plainWords = [secret, 'learningRate', '000123', 'manifestSha256', 'settings', 'the disk', 'siglip2 logs'];
      for (const id of ['hidden', 'hidden/pretrain']) {
        const history = await show(id);
        expect(history).toMatch(/EVENT_TYPE_ACTIVITY_TASK_SCHEDULED|EVENT_TYPE_START_CHILD/);
        const bytes = decoded(history);
        expect(bytes.length).toBeGreaterThan(3);
        for (const word of plainWords) {
          expect(history).not.toContain(word);
          expect(bytes.filter((text) => text.includes(word))).toEqual([]);
        }
      }
      const port = await getPort();
      const server = await serveCodec(dataConverter.payloadCodecs![0]!, { port, origin: 'http://127.0.0.1:8233' });
      try {
        const endpoint = ['--codec-endpoint', `http://127.0.0.1:${port}`];
        const shown = await show('hidden/pretrain', ...endpoint);
        expect(shown + decoded(shown).join()).toContain(`the disk of ${secret} is full`);
        expect(decoded(shown).join()).toContain('manifestSha256');
        // What Temporal's page shows of an activity, and how its log is read.
        expect(shown + decoded(shown).join()).toContain(`to step 10; siglip2 logs ${secret.slice(0, 8)} pretrain`);
        const query = ['workflow', 'query', '--workflow-id', 'hidden', '--type', 'status', ...endpoint];
        expect((await promisify(execFile)(binary!, query, { env })).stdout).toMatch(/"state": ?"done"|state.*done/);
        // What is typed with it is encrypted on its way.
        const input = JSON.stringify({ note: secret });
        const begin = [
          'workflow',
          'start',
          '--type',
          'siglip2Recipe',
          '--task-queue',
          'siglip2',
          '--workflow-id',
          'typed',
        ];
        await promisify(execFile)(binary!, [...begin, '--input', input, ...endpoint], { env });
        await client.workflow.getHandle('typed').result();
        expect(await show('typed')).not.toContain(Buffer.from(input).toString('base64').slice(0, 24));
      } finally {
        server.close();
      }
    });
  });
});

describe('a payload', () => {
  const payload = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(`"${secret}"`) };

  it('is another each time, comes back as it was, and is refused when it was touched or has another key', async () => {
    const codec = encryption(payloadKey({ SIGLIP2_PAYLOAD_KEY: key })!);
    const [[one], [two]] = [await codec.encode([payload]), await codec.encode([payload])];
    expect(Buffer.from(one!.data!)).not.toEqual(Buffer.from(two!.data!));
    expect(Buffer.from(one!.data!).includes(secret)).toBe(false);
    const [back] = await codec.decode([one!]);
    expect(Buffer.from(back!.data!).toString()).toBe(`"${secret}"`);
    expect(Buffer.from(back!.metadata!.encoding!).toString()).toBe('json/plain');
    // Written before there was a key.
    expect(await codec.decode([payload])).toEqual([payload]);
    const touched = Buffer.from(one!.data!);
    touched[40]! ^= 1;
    await expect(codec.decode([{ ...one!, data: touched }])).rejects.toThrow(/was changed after it was encrypted/);
    await expect(encryption(randomBytes(32)).decode([one!])).rejects.toThrow(
      /was encrypted under key [0-9a-f]{16}, and SIGLIP2_PAYLOAD_KEY is key [0-9a-f]{16}: set the one that the run began with/,
    );
  });

  it('has a key of 32 bytes, or none', () => {
    expect(payloadConverter({})).toBe(undefined);
    for (const wrong of ['short', randomBytes(16).toString('base64'), '!'.repeat(44)])
      expect(() => payloadKey({ SIGLIP2_PAYLOAD_KEY: wrong })).toThrow(
        /^SIGLIP2_PAYLOAD_KEY is not 32 bytes in base64/,
      );
  });
});
