import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { prepare } from '../../infra/setup/prepare.ts';
import { nothingUsed } from '../../src/costs/used.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { RunStatus } from '../../workflows/messages.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { resultOf, runPlanOf } from './harness.ts';
import { slowShard, steering } from './steered.ts';

const { temporal, steered } = steering();

describe('a run', () => {
  it('pauses with a checkpoint in the middle of a shard, and goes on from it', async () => {
    const began: number[] = [];
    const trainShard = async (input: ShardInput) => {
      began.push(input.from?.step ?? 0);
      return { ...(await slowShard(input)), ...(began.length > 1 && { remark: 'this CPU is another' }) };
    };
    await steered('paused', { trainShard }, 60, async (run) => {
      await run.until('training');
      await delay(300);
      expect(await run.ask('pause')).toBe('accepted');
      const { step } = await run.until('paused');
      expect(step).toBeGreaterThan(0);
      expect(step).toBeLessThan(50);
      expect(await run.refusal('pause')).toMatch(
        /^pause is refused: phase pretrain is paused; what goes on now: resume, /,
      );
      expect(await run.refusal('checkpointNow')).toMatch(/phase pretrain is paused/);
      await delay(200);
      expect((await run.status()).step).toBe(step);
      await run.ask('resume');
      const { phases } = await run.result();
      expect(phases[0]!.checkpoint.step).toBe(60);
      expect(began).toEqual([0, step, 50]);
      expect((await run.history()).pretrain!.map(({ what }) => what)).toContain('paused');
      // Two shards say it, of one machine.
      const own = (await run.history('pretrain')).pretrain!.map(({ what }) => what);
      expect(own.filter((what) => what === 'this CPU is another')).toHaveLength(1);
    });
  });

  it('commits at once when asked, and trains on', async () => {
    await steered('now', {}, 60, async (run) => {
      await run.until('training');
      await delay(200);
      await run.ask('checkpointNow');
      for (const began = Date.now(); (await run.status()).step === 0; await delay(20))
        expect(Date.now() - began).toBeLessThan(5000);
      const { step, state } = await run.status();
      expect([step < 50, state]).toEqual([true, 'training']);
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(60);
    });
  });

  it('stops at its limits with a checkpoint, and goes on when they are raised', async () => {
    const began = Date.now();
    await steered('limited', {}, 300, async (run) => {
      await run.until('training');
      await run.ask('setLimits', { step: 45 });
      expect(await run.refusal('setLimits', { steps: 3 })).toBe(
        'setLimits is refused: steps is no limit; allowed: step, deviceHours, wallHours, cost',
      );
      expect(await run.refusal('setLimits')).toBe(
        'setLimits is refused: no limit is named; allowed: step, deviceHours, wallHours, cost, such as {"step": 5000}',
      );
      expect(await run.refusal('setLimits', { step: -3 })).toMatch(/step is -3; allowed: a number above 0, whole/);
      expect((await run.until('limit')).step).toBe(45);
      expect(await run.refusal('setLimits', { step: 45 })).toBe(
        'setLimits is refused: step is 45, and phase pretrain has come to 45; allowed: more than that, or pause to stop it now',
      );
      // Its shards had a device for 20 ms a step.
      expect(await run.refusal('setLimits', { deviceHours: 0.000_1 })).toMatch(
        /^setLimits is refused: deviceHours is 0.0001, and phase pretrain has come to 0.00025; allowed: more than that/,
      );
      await run.ask('setLimits', { step: null, deviceHours: (75 * 20) / 3_600_000 });
      expect((await run.until('limit', ({ step }) => step > 45)).step).toBe(75);
      expect(await run.refusal('setLimits', { wallHours: 0.000_01 })).toMatch(
        /^setLimits is refused: wallHours is 0.00001, /,
      );
      await run.ask('resume');
      await delay(500);
      expect(await run.status()).toMatchObject({ state: 'limit', step: 75 });
      const age = (Date.now() - began) / 3_600_000;
      await run.ask('setLimits', { deviceHours: 1, wallHours: age + 2.5 / 3600 });
      // By the clock it has some seconds, and stops within a shard, with a checkpoint.
      const later = await run.until('limit', (status) => status.step > 75);
      expect(later.step).toBeLessThan(300);
      await run.ask('setLimits', { wallHours: null });
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(300);
      const history = (await run.history()).pretrain!.map(({ what }) => what);
      expect(history).toEqual(
        expect.arrayContaining(['asked for: setLimits {"step":45}', 'limits {} -> {"step":45}', 'limit']),
      );
      await run.keep('phase-timed.json');
    });
  });

  it('stops with a checkpoint before it has cost what it may, by its recipe too, and says what it has cost', async () => {
    const plan = async () => {
      const planned = runPlanOf('paid', 300, 50);
      return { ...planned, phases: planned.phases.map((phase) => ({ ...phase, limits: { cost: 900 } })) };
    };
    await steered('paid', { plan }, 300, async (run) => {
      // 20 a step: 44 steps, and with a last one 900.
      expect(await run.until('limit')).toMatchObject({ step: 44, used: { cost: { trained: 880 } } });
      expect(await run.refusal('setLimits', { cost: 880 })).toBe(
        'setLimits is refused: cost is 880, and phase pretrain has come to 880; allowed: more than that, or pause to stop it now',
      );
      await run.ask('setLimits', { cost: 1600 });
      expect((await run.until('limit', ({ step }) => step > 44)).step).toBe(79);
      expect((await run.status()).phases[0]!.used).toMatchObject({ cost: { trained: 1580 }, reserve: 20 });
      await run.ask('setLimits', { cost: null });
      const { phases } = await run.result();
      expect(phases[0]).toMatchObject({ checkpoint: { step: 300 }, used: { cost: { trained: 6000 } } });
      expect((await run.status()).used).toMatchObject({ ms: { trained: 6000 } });
      await run.keep('phase-paid.json');
    });
  });

  it('waits where what it may cost does not reach for a first checkpoint, and tries no further', async () => {
    let tries = 0;
    const trainShard = async (input: ShardInput) => {
      tries++;
      if (input.cost !== undefined)
        throw new RunnerError('LimitReached', 'does not reach', {
          details: { used: { ...nothingUsed, ms: { preparing: 10 }, cost: { preparing: 10 }, reserve: 50 } },
        });
      return resultOf(input, input.toStep);
    };
    const plan = async () => {
      const planned = runPlanOf('poor', 60, 50);
      return { ...planned, phases: planned.phases.map((phase) => ({ ...phase, limits: { cost: 40 } })) };
    };
    await steered('poor', { plan, trainShard }, 60, async (run) => {
      expect(await run.until('limit')).toMatchObject({ step: 0, used: { cost: { preparing: 10 } } });
      await delay(300);
      expect(tries).toBe(1);
      await run.ask('setLimits', { cost: null });
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(60);
    });
  });

  it('uses no device time while its shard waits for a device', async () => {
    const plan = async () => runPlanOf('queued', 100, 50);
    await temporal.serving({ trainShard: slowShard, plan }, async (client, _, devices) => {
      await devices.stop();
      const run = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
        taskQueue: 'siglip2',
        workflowId: 'queued',
        args: [{}],
      });
      const state = async () => (await run.query<RunStatus>('status')).state;
      await expect.poll(state, { timeout: 10_000 }).toBe('training');
      await run.executeUpdate('setLimits', { args: [{ deviceHours: 400 / 3_600_000 }] });
      await delay(2000);
      expect(await state()).toBe('training');
      await devices.start();
      await expect.poll(state, { timeout: 10_000 }).toBe('limit');
      expect((await run.query<RunStatus>('status')).step).toBe(20);
      await run.cancel();
      await expect(run.result()).rejects.toThrow();
    });
  });

  it('is extended while it trains, and what is left of the schedule is spread over more steps', async () => {
    const asked: object[] = [];
    const replan: Activities['replan'] = async ({ plan, extend }) => {
      asked.push(extend!);
      return { ...plan, to: { step: plan.to.step + extend!.steps, examples: plan.to.examples + 2 * extend!.steps } };
    };
    await steered('longer', { replan }, 60, async (run) => {
      await run.until('training');
      expect(await run.refusal('extend', { steps: 0.5 })).toBe(
        'extend is refused: steps is 0.5; allowed: a whole number above 0, of steps to add, {"steps": 1000}',
      );
      expect(await run.refusal('extend')).toMatch(
        /^extend is refused: steps is missing; allowed: a whole number above 0/,
      );
      for (const steps of [1e9, 1e300])
        expect(await run.refusal('extend', { steps })).toBe(
          `extend is refused: steps is ${steps}; allowed: at most 10000 at once, for phase pretrain has 60 now`,
        );
      await run.ask('extend', { steps: 20 });
      // Seen at once, and not when the next shard has ended.
      const seen = await run.until('training', ({ total }) => total === 80);
      expect(seen.step).toBeLessThan(50);
      const { phases } = await run.result();
      expect(phases[0]!.checkpoint).toMatchObject({ step: 80, revision: 1 });
      const { at } = asked[0] as { at: { step: number; examples: number } };
      expect(at.examples).toBe(2 * at.step);
      expect((await run.history()).pretrain!.map(({ what }) => what)).toContain(
        'extended by 20 steps: ends at step 80, not 60',
      );
    });
  });

  it('refuses what an update does not know, names what it does, and goes on', async () => {
    await steered('slips', {}, 60, async (run) => {
      await run.until('training');
      const allowed = 'allowed: none, or a JSON object of phase, such as {"phase": "pretrain"}';
      const slips: [string, unknown[], string][] = [
        ['pause', [null], `pause is refused: its input is null; ${allowed}`],
        ['pause', [[]], `pause is refused: its input is []; ${allowed}`],
        ['pause', ['pretrain'], `pause is refused: its input is "pretrain"; ${allowed}`],
        ['pause', [{ phase: 'pretrain', force: true }], 'pause is refused: force is no field of it; allowed: phase'],
        [
          'resume',
          [{ phase: 7 }],
          'resume is refused: phase is 7; allowed: the name of a phase, such as {"phase": "pretrain"}',
        ],
        ['pause', [{ phase: 'naflex' }], 'pause is refused: no open phase is named naflex; open: pretrain'],
        ['pause', [{}, {}], 'pause is refused: it has 2 inputs; allowed: one, a JSON object of phase'],
        ['extend', [{ steps: 5, stepz: 1 }], 'extend is refused: stepz is no field of it; allowed: phase, steps'],
        [
          'setLimits',
          [null],
          'setLimits is refused: its input is null; allowed: none, or a JSON object of phase, step, deviceHours, wallHours, cost, such as {"phase": "pretrain"}',
        ],
        [
          'setLimits',
          [{ phase: 'pretrain' }],
          'setLimits is refused: no limit is named; allowed: step, deviceHours, wallHours, cost, such as {"step": 5000}',
        ],
      ];
      for (const workflow of ['slips', 'slips/pretrain'])
        for (const [name, args, said] of slips) expect(await run.slip(workflow, name, args)).toBe(said);
      expect(await run.status()).toMatchObject({ state: 'training' });
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(60);
    });
  });

  it('drops signals that make no sense, says so in its history, and goes on', async () => {
    await steered('signalled', {}, 60, async (run) => {
      await run.until('training');
      const report = { phase: 'pretrain', state: 'training', from: 0, total: 60, revision: 0 };
      for (const given of [
        null,
        'done',
        {},
        { ...report, phase: 'constructor' },
        { ...report, state: 'toString' },
        { ...report, last: {} },
      ])
        await run.signal('signalled', 'phaseReport', given);
      for (const given of [
        null,
        { kind: 'Pause' },
        { kind: 'constructor' },
        { kind: 'setLimits', limits: 5 },
        { kind: 'extend', steps: 1e300 },
      ])
        await run.signal('signalled/pretrain', 'wish', given);
      for (const workflow of ['signalled', 'signalled/pretrain'])
        await run.signal(workflow, 'pause', { phase: 'pretrain' });
      await expect.poll(async () => (await run.history())['(run)']?.length, { timeout: 10_000 }).toBe(7);
      expect(await run.status()).toMatchObject({ state: 'training', total: 60 });
      const ofRun = (await run.history())['(run)']!.map(({ what }) => what);
      expect(ofRun[0]).toBe('a signal was dropped: a report is null; allowed: an object');
      expect(ofRun[3]).toBe('a signal was dropped: a report names the phase "constructor"');
      expect(ofRun[6]).toBe(
        'a signal was dropped: nothing is known by the name pause; it is an update: temporal workflow update execute --name pause',
      );
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(60);
      const ofPhase = (await run.ofPhase()).map(({ what }) => what);
      expect(ofPhase).toContain(
        'a signal was dropped: a wish has the kind "Pause"; allowed: pause, resume, checkpointNow, abandonPhase, retryPhase, extend, setLimits, setReplicas',
      );
      expect(ofPhase.filter((what) => /dropped|too late/.test(what))).toHaveLength(6);
    });
  });

  it('is steered by the Temporal CLI in the words of the README', async () => {
    const { temporal: binary } = await prepare(['temporal']);
    const type = async (...words: string[]) => {
      const env = { ...process.env, TEMPORAL_ADDRESS: temporal.address() };
      const { stdout, stderr } = await promisify(execFile)(binary!, words, { env });
      return stdout + stderr;
    };
    const update = (name: string, ...input: string[]) =>
      type('workflow', 'update', 'execute', '--workflow-id', 'typed', '--name', name, ...input);
    await steered('typed', {}, 200, async (run) => {
      await run.until('training');
      expect(await update('pause')).toMatch(/accepted/);
      await run.until('paused');
      expect(await type('workflow', 'query', '--workflow-id', 'typed', '--type', 'status')).toMatch(/paused/);
      await expect(update('checkpointNow')).rejects.toThrow(/checkpointNow is refused: phase pretrain is paused/);
      await update('retryPhase', '--input', '{"phase": "pretrain", "learningRate": 0.0001}');
      await run.until('training');
      expect(await type('workflow', 'query', '--workflow-id', 'typed', '--type', 'plan')).toMatch(/pretrain/);
      expect(await type('workflow', 'query', '--workflow-id', 'typed', '--type', 'history')).toMatch(/paused/);
      await update('extend', '--input', '{"phase": "pretrain", "steps": 10}');
      await update('pause');
      await run.until('paused');
      expect(await update('retryPhase', '--input', '{"batch": 512, "learningRate": 0.0005}')).toMatch(/accepted/);
      await run.until('training');
      await update('pause');
      await run.until('paused');
      expect(await update('retryPhase', '--input', '{"data": ["data/emoji/train", "data/more"]}')).toMatch(/accepted/);
      await run.until('training');
      await update('pause');
      await run.until('paused');
      expect(await update('retryPhase', '--input', '{"skip": {"from": 1200, "to": 1209}}')).toMatch(/accepted/);
      await run.until('training');
      expect(await update('setLimits', '--input', '{"step": 5000, "deviceHours": 12, "wallHours": 24}')).toMatch(
        /accepted/,
      );
      const recipe = '{"version": 1}';
      const alone = ['--type', 'siglip2Phase', '--task-queue', 'siglip2', '--workflow-id', 'typed/other'];
      await type('workflow', 'start', ...alone, '--input', `{"phase": "other", "recipe": ${recipe}}`);
      await expect
        .poll(() => type('workflow', 'query', '--workflow-id', 'typed/other', '--type', 'status'), { timeout: 10_000 })
        .toMatch(/typed\/other@/);
      await update('abandonPhase', '--input', '{"phase": "pretrain"}');
      await expect(run.result()).rejects.toThrow();
    });
  });
});
