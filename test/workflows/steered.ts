import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { Activities } from '../../activities/types/activities.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { nothingUsed } from '../../src/costs/used.ts';
import type { RunStatus } from '../../workflows/messages.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { resultOf, runPlanOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';

/** A shard of a step every 20 ms, at a price of 1 a millisecond, with that of a step kept aside, which ends at the step that it is at when it is cancelled or its time is up. */
export async function slowShard(input: ShardInput) {
  const { cancellationSignal, heartbeat } = Context.current();
  const { deviceMs: time = Number.POSITIVE_INFINITY, cost = Number.POSITIVE_INFINITY } = input;
  let step = input.from?.step ?? input.plan.from.step;
  let deviceMs = 0;
  for (
    ;
    step < input.toStep && !cancellationSignal.aborted && deviceMs < time && deviceMs + 40 <= cost;
    deviceMs += 20
  ) {
    await delay(20);
    heartbeat({ step: ++step });
  }
  const used = { ...nothingUsed, ms: { trained: deviceMs }, cost: { trained: deviceMs }, reserve: 20 };
  return { ...resultOf(input, step), deviceMs, used };
}

interface Steered {
  status(): Promise<RunStatus>;
  ask(name: string, argument?: object): Promise<unknown>;
  /** Why it was refused. */
  refusal(name: string, argument?: object): Promise<string>;
  /** The answer to an update of such arguments. */
  slip(workflow: string, name: string, args: unknown[]): Promise<string>;
  signal(workflow: string, name: string, argument: unknown): Promise<void>;
  until(state: string, more?: (status: RunStatus) => boolean): Promise<RunStatus>;
  result(): ReturnType<typeof siglip2Recipe>;
  /** Of the phase, and of the run, under such names. */
  keep(phase: string, run?: string): Promise<void>;
  history(phase?: string): Promise<Record<string, { what: string }[]>>;
  /** What the phase itself has written down. */
  ofPhase(): Promise<{ what: string }[]>;
}

/** A way to start a run of slow shards, to steer it in `work`, and to look at it. */
export function steering() {
  const temporal = testTemporal();
  return { temporal, steered };

  async function steered(run: string, of: Partial<Activities>, steps: number, work: (run: Steered) => Promise<void>) {
    const plan = async () => runPlanOf(run, steps, 50);
    await temporal.serving({ trainShard: slowShard, plan, ...of }, async (client) => {
      const handle = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
        taskQueue: 'siglip2',
        workflowId: run,
        args: [{}],
      });
      const status = () => handle.query<RunStatus>('status');
      const ask = (name: string, argument?: object) =>
        argument === undefined
          ? handle.executeUpdate<unknown, []>(name)
          : handle.executeUpdate<unknown, [object]>(name, { args: [argument] });
      const slip = (workflow: string, name: string, args: unknown[]) =>
        client.workflow
          .getHandle(workflow)
          .executeUpdate(name, { args: args as never })
          .then(
            () => `${name} was granted`,
            (refused: Error) => (refused.cause as Error | undefined)?.message ?? refused.message,
          );
      await work({
        status,
        ask,
        slip,
        signal: (workflow, name, argument) => client.workflow.getHandle(workflow).signal<[unknown]>(name, argument),
        refusal: (name, argument) => slip(run, name, argument === undefined ? [] : [argument]),
        async until(state, more = () => true) {
          for (const began = Date.now(); ; await delay(50)) {
            const found = await status();
            if (found.state === state && more(found)) return found;
            if (Date.now() - began > 20_000) throw new Error(`${run} is ${found.state}, not ${state}`);
          }
        },
        result: () => handle.result(),
        history: (phase) => (phase ? client.workflow.getHandle(`${run}/${phase}`) : handle).query('history'),
        async ofPhase() {
          const found = await client.workflow
            .getHandle(`${run}/pretrain`)
            .query<Record<string, { what: string }[]>>('history');
          return found.pretrain!;
        },
        async keep(phase, whole) {
          await keepHistory(client, `${run}/pretrain`, phase);
          if (whole) await keepHistory(client, run, whole);
        },
      });
    });
  }
}
