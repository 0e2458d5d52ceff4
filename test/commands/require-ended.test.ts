import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, it, vi } from 'vitest';
import { atWork } from '../../src/checkpoint/work.ts';
import { requireEnded } from '../../src/commands/temporal-client.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { testServices } from '../support/services.ts';

const services = testServices({ only: ['temporal'] });

/** Each command has a connection of its own, which it closes. */
async function refusal(run: string, store: ObjectStore = new MemoryStore()): Promise<string> {
  const connection = await Connection.connect({ address: services().temporal!.address });
  return requireEnded(new Client({ connection }), store, run, `rm ${run}`).then(
    () => 'allowed',
    (error: Error) => error.message,
  );
}

async function started(workflowId: string, searchAttributes?: object) {
  const connection = await Connection.connect({ address: services().temporal!.address });
  // No worker takes it: it is open before it could say of which run it is.
  const handle = await new Client({ connection }).workflow.start('siglip2Phase', {
    taskQueue: 'nobody',
    workflowId,
    args: [{}],
    ...searchAttributes,
  });
  return async () => {
    await handle.terminate();
    await connection.close();
  };
}

describe('who deletes is refused', () => {
  it.each(['whole', 'alone/pretrain', 'alone/a.b'])(
    'while the workflow %s is open, and not when it has ended',
    async (id) => {
      const run = id.split('/')[0]!;
      const end = await started(id);
      await vi.waitFor(async () =>
        expect(await refusal(run)).toBe(
          `rm ${run} is refused: ${id === run ? 'the run' : id} is open; end it first, temporal workflow cancel --workflow-id ${id}`,
        ),
      );
      expect(await refusal(`${run}r`)).toBe('allowed');
      await end();
      await vi.waitFor(async () => expect(await refusal(run)).toBe('allowed'));
    },
  );

  it('at once while a phase is open that the bucket knows, however far behind the list of workflows is', async () => {
    const store = new MemoryStore();
    await store.put('runs/known/data/pretrain-settings-0123456789abcdef.json', '{}');
    const end = await started('known/pretrain');
    expect(await refusal('known', store)).toContain('known/pretrain is open');
    await end();
    expect(await refusal('known', store)).toBe('allowed');
  });

  it('while an attempt is at work of which Temporal knows nothing, as the bucket says', async () => {
    const store = new MemoryStore();
    // The server says when something was written.
    const now = Object.assign(Object.create(store), {
      list: async function* (prefix: string) {
        for await (const one of store.list(prefix)) yield { ...one, modified: new Date(Date.now() - age) };
      },
    }) as ObjectStore;
    let age = 5000;
    let finish = () => {};
    const work = atWork(
      now,
      { run: 'lost', phase: 'pretrain', attempt: 'a' },
      () => new Promise<void>((resolve) => (finish = resolve)),
    );
    await delay(10);
    expect(await refusal('lost', now)).toBe(
      'rm lost is refused: an attempt at phase pretrain was at work 5 s ago, as the bucket says; end its worker, or wait until nothing was heard of it for 2 minutes',
    );
    // It was killed.
    age = 121_000;
    expect(await refusal('lost', now)).toBe('allowed');
    age = 0;
    finish();
    await work;
    expect(await refusal('lost', now)).toBe('allowed');
    expect([...store.objects.keys()]).toEqual([]);
  });

  it('while Temporal does not answer', async () => {
    await expect(requireEnded(null, new MemoryStore(), 'any', 'rm any')).rejects.toMatchObject({
      code: 'StorageRefused',
    });
  });
});
