import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { beginRounds } from '../../activities/begin-rounds.ts';
import type { Dependencies } from '../../activities/dependencies.ts';
import { mergeRound } from '../../activities/merge-round.ts';
import { trainReplica } from '../../activities/train-replica.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { MemberRef, RoundInput } from '../../activities/types/rounds.ts';
import { listCommits, readCommit } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { CheckpointRef, Manifest } from '../../src/checkpoint/types.ts';
import { fetchMetrics } from '../../src/commands/fetch-metrics.ts';
import { type Replicas, replicasSchema } from '../../src/recipe/replicas.ts';
import { randomStream } from '../../src/runtime/random.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { tinySettings } from '../train/settings.ts';
import { type Hands, hands, planOf } from './fixture.ts';
import { driveRounds } from './round-driver.ts';
import { slowRounds } from './slow-rounds.ts';

const script = fileURLToPath(new URL('../trainer/fake-rounds-trainer.ts', import.meta.url));
let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
const trainers: TrainerProcess[] = [];
let shared: TrainerProcess;

beforeAll(async () => {
  server = await startServer();
  store = server.store({ attempts: 1 });
  const all = hands();
  shared = trainerOf(all);
});
afterAll(async () => {
  for (const trainer of trainers) await trainer.close();
  await server.stop();
});
beforeEach(() => {
  on = hands();
});
afterEach(() => on.close());

function trainerOf({ folder }: Hands, fault: object = {}): TrainerProcess {
  const env = { ...process.env, FAKE_FAULT: JSON.stringify(fault) };
  const lockFile = join(folder, `device-${trainers.length}.lock`);
  const trainer = createTrainerProcess({ lockFile, log: { info() {}, warn() {} }, script, env });
  trainers.push(trainer);
  return trainer;
}

const four = replicasSchema.parse({ number: 4, steps: 5, outer: { rate: 1, momentum: 0 }, exchange: 'f32' });
let runs = 0;
/** A phase of 60 steps in rounds: three of 20, where nothing else is said. */
async function planned(replicas: Replicas = four, changes: Partial<PhasePlan> = {}): Promise<PhasePlan> {
  const plan = await planOf(store, `run-${++runs}`, { replicas });
  return { ...plan, replicas, ...changes };
}
const worker = (changes: Partial<Dependencies> = {}) =>
  on.deps(store, { trainer: shared, scratch: join(on.folder, `scratch-${Math.random()}`), ...changes });

const whole = { steps: 20, slots: 4, members: [0, 1, 2, 3] };
const shaOf = async (run: string, steps: number[]) => {
  const commits = await listCommits(store, { run, phase: 'pretrain' }, 0);
  return steps.map((step) => commits.find((commit) => commit.step === step)!.sha256);
};

/** One more round of 20 steps, each slot by a worker that is new to it. */
async function roundFrom(
  plan: PhasePlan,
  from: CheckpointRef,
  slots: number[],
  merges = worker(),
): Promise<CheckpointRef> {
  const round = { from, to: from.step + 20, slots: slots.length };
  const input = { plan, revision: 0, parent: null, skip: [], round };
  const members: MemberRef[] = [];
  for (const slot of slots) members.push((await trainReplica(worker(), { ...input, slot }, on.attempt())).member!);
  return (await mergeRound(merges, { ...input, members, late: [] }, on.attempt())).checkpoint;
}

const sizeOf = async (prefix: string, names: RegExp) => {
  let bytes = 0;
  for await (const object of store.list(prefix)) if (names.test(object.key)) bytes += object.bytes;
  return bytes;
};

describe('a phase in rounds', () => {
  it('is what plain loops in one process make of it, whoever trains which slot and in whatever order', async () => {
    const plan = await planned();
    const end = await driveRounds(on, [worker(), worker(), worker()], plan, null, {
      order: (slots) => [...slots].sort((a, b) => ((a * 7 + 3) % 4) - ((b * 7 + 3) % 4)),
    });
    const expected = await slowRounds(tinySettings, [whole, whole, whole]);
    expect(await shaOf(plan.run, [20, 40, 60])).toEqual(expected);
    expect(end).toMatchObject({ step: 60, examples: 360, sha256: expected[2] });
    const { manifest } = await readManifest(store, end);
    expect(manifest.round).toMatchObject({ from: 40, slots: 4, late: [] });
    expect(manifest.round!.members.map(({ slot, steps, examples }) => [slot, steps, examples])).toEqual(
      [0, 1, 2, 3].map((slot) => [slot, 5, 30]),
    );
    expect(manifest.parent).toMatchObject({ step: 40, sha256: expected[1] });
    // Its figures, and those of each slot: beside those of the steps, and with the checkpoint.
    const folder = join(on.folder, 'figures');
    await fetchMetrics(store, plan.run, folder);
    const lines = readFileSync(join(folder, 'pretrain-rounds.jsonl'), 'utf8').trim().split('\n');
    const records = lines.map((line) => JSON.parse(line) as Record<string, number>);
    expect(records.map(({ step }) => step)).toEqual([20, 40, 60]);
    const figures = (await readCommit(store, end)).metrics.figures!;
    const { step: _, time: __, ...last } = records.at(-1)!;
    expect(figures).toMatchObject(last);
    expect(last).toMatchObject({ 'round/members': 4, 'round/late': 0 });
    const slots = [0, 1, 2, 3];
    const sum = (name: string) => slots.reduce((total, slot) => total + last[`slot/${slot}/${name}`]!, 0);
    expect(last['round/loss']).toBeCloseTo(sum('loss') / 4, 6);
    expect([last['round/upBytes'], last['round/downBytes']]).toEqual([sum('upBytes'), sum('downBytes')]);
    const handedIn = await sizeOf(
      `runs/${plan.run}/pretrain/r0/rounds/step-00000060/`,
      /\/(?!merged-)\w+\.safetensors$/,
    );
    expect(last['round/upBytes']).toBe(handedIn);
    // Of the last round what was handed in is there still, and of the one before.
    const left = new Set<string>();
    for await (const { key } of store.list(`runs/${plan.run}/pretrain/r0/rounds/`)) left.add(key.split('/')[5]!);
    expect([...left].sort()).toEqual(['step-00000040', 'step-00000060']);
  });

  it('is cut at branches and at its end, into lanes that differ by a step, and goes on from who came in', async () => {
    const plan = await planned(four, { branches: [6] });
    await driveRounds(on, [worker()], plan, null, { to: 26 });
    const cut = { steps: 6, slots: 4, members: [0, 1, 2, 3] };
    expect(await shaOf(plan.run, [6, 26])).toEqual(await slowRounds(tinySettings, [cut, whole]));
  });
});

describe('each exchange, each kind of moments and each outer step', () => {
  const outer = { rate: 0.7, momentum: 0.9, nesterov: true };
  it.each([
    { exchange: 'bf16', moments: 'averaged', outer },
    { exchange: 'int8', moments: 'reset', outer: { ...outer, rate: 0.5 } },
    { exchange: 'int4', moments: 'kept', outer: { ...outer, nesterov: false } },
    { exchange: 'f32', moments: 'kept', outer },
    { exchange: 'int8', moments: 'averaged', outer: { ...outer, momentum: 0 } },
  ] as const)(
    'come in $exchange, with moments $moments, rate $outer.rate and momentum $outer.momentum, to the bytes of the slow loops, with slots that are late',
    async (of) => {
      const replicas = replicasSchema.parse({ number: 3, steps: 3, ...of });
      const plan = await planned(replicas, { branches: [7] });
      const rounds = [
        { steps: 7, slots: 3, members: [0, 1, 2] },
        { steps: 9, slots: 3, members: [0, 2] },
        // Slot 1 was not in the round before, and slot 0, which stands for all, is not in this one.
        { steps: 9, slots: 3, members: [1, 2] },
      ];
      const late = (from: number) => (from === 7 ? [1] : from === 16 ? [0] : []);
      await driveRounds(on, [worker(), worker()], plan, null, { to: 25, order: (slots) => slots.reverse(), late });
      expect(await shaOf(plan.run, [7, 16, 25])).toEqual(await slowRounds(tinySettings, rounds, of));
    },
  );
});

it('goes on with other moments than in the round before: those that were left out are zero', async () => {
  const all = { exchange: 'int8', outer: { rate: 0.7, momentum: 0.9, nesterov: true } } as const;
  const replicas = (moments: Replicas['moments']) => replicasSchema.parse({ number: 3, steps: 3, moments, ...all });
  const kinds = ['reset', 'averaged', 'reset', 'kept', 'kept', 'reset'] as const;
  const first = await planned(replicas('reset'));
  let from = await driveRounds(on, [worker()], first, null, { to: 9 });
  const hashes = [from.sha256];
  const sizes = [await stateBytes(from)];
  const deps = worker();
  let kept: readonly MemberRef[] = [];
  for (const moments of kinds.slice(1)) {
    const { settings } = await planOf(store, first.run, { replicas: replicas(moments) });
    const plan = { ...first, settings, replicas: replicas(moments) };
    const input = { plan, revision: 0, parent: null, skip: [], round: { from, to: from.step + 9, slots: 3 } };
    const members: MemberRef[] = [];
    for (let slot = 0; slot < 3; slot++) {
      const own = moments === 'kept' && kept[slot] && { moments: kept[slot] };
      members.push((await trainReplica(deps, { ...input, slot, ...own }, on.attempt())).member!);
    }
    kept = moments === 'kept' ? members : [];
    from = (await mergeRound(deps, { ...input, members, late: [] }, on.attempt())).checkpoint;
    hashes.push(from.sha256);
    sizes.push(await stateBytes(from));
  }
  const rounds = kinds.map((moments) => ({ steps: 9, slots: 3, members: [0, 1, 2], moments }));
  expect(hashes).toEqual(await slowRounds(tinySettings, rounds, { ...all, moments: 'reset' }));
  // Parameters and the buffers of the outer step, and two moments of each where they are not left out.
  const [without, with_] = [sizes[0]!, sizes[1]!];
  expect(with_ / without).toBeGreaterThan(1.5);
  const near = (size: number) => Math.abs(size / without - 1) < 0.02;
  expect(sizes.map(near)).toEqual([true, false, true, false, false, true]);
});

async function stateBytes(ref: CheckpointRef): Promise<number> {
  return (await readManifest(store, ref)).manifest.state.reduce((sum, { bytes }) => sum + bytes, 0);
}

describe('a bank of texts', () => {
  const banked = (number: number, rows: number) => ({
    ...tinySettings,
    objectives: { sigmoid: { weight: 1, bank: { replicas: number, rows } } },
  });

  it('has of each slot what that wrote in the last round that it was in, beside whatever else is merged', async () => {
    const outer = { rate: 0.7, momentum: 0.9, nesterov: true };
    const of = { exchange: 'int8', moments: 'reset', outer } as const;
    const replicas = replicasSchema.parse({ number: 3, steps: 3, negatives: 'bank', ...of });
    const plan = await planned(replicas, { branches: [2] });
    const rounds = [
      // Two steps are of two slots.
      { steps: 2, slots: 2, members: [0, 1] },
      { steps: 9, slots: 3, members: [0, 2] },
      { steps: 9, slots: 3, members: [1, 2] },
    ];
    const late = (from: number) => (from === 2 ? [1] : from === 11 ? [0] : []);
    // One has what each round began with, and makes the next of the change alone.
    const end = await driveRounds(on, [worker(), worker()], plan, null, { to: 20, late });
    expect(await shaOf(plan.run, [2, 11, 20])).toEqual(await slowRounds(banked(3, 18), rounds, of));
    const { manifest } = await readManifest(store, end);
    const others = manifest.round!.merged!.find(({ path }) => path === 'merged-others.safetensors')!;
    // Rows of two slots went up and came down, of 4,096, and a bit for each.
    expect(others.bytes - 2 * 18 * 16 * 4).toBeGreaterThan(512);
    expect(others.bytes - 2 * 18 * 16 * 4).toBeLessThan(1200);
  });

  it('is empty where there was one replica before, and grows with them; with one again there is none', async () => {
    const replicas = (number: number) =>
      replicasSchema.parse({ number, steps: 4, negatives: 'bank', outer: { rate: 1, momentum: 0 }, exchange: 'f32' });
    const first = await planned(replicas(1));
    let from = await driveRounds(on, [worker()], first, null, { to: 4 });
    const hashes = [from.sha256];
    const deps = worker();
    for (const number of [3, 1]) {
      const { settings } = await planOf(store, first.run, { replicas: replicas(number) });
      const plan = { ...first, settings, replicas: replicas(number) };
      const round = { from, to: from.step + 4 * number, slots: number };
      const input = { plan, revision: 0, parent: null, skip: [], round };
      const members: MemberRef[] = [];
      for (let slot = 0; slot < number; slot++)
        members.push((await trainReplica(deps, { ...input, slot }, on.attempt())).member!);
      from = (await mergeRound(deps, { ...input, members, late: [] }, on.attempt())).checkpoint;
      hashes.push(from.sha256);
      const names = await tensorsOf(from);
      expect(names.includes('state/textBank')).toBe(number > 1);
    }
    const rounds = [
      { steps: 4, slots: 1, members: [0] },
      { steps: 12, slots: 3, members: [0, 1, 2] },
    ];
    // The first round of the slow loops has a bank too, that nobody writes.
    expect(hashes[1]).toBe((await slowRounds(banked(3, 24), rounds, undefined, { bankFrom: 1 }))[1]);
  });

  async function tensorsOf(ref: CheckpointRef): Promise<string[]> {
    const { manifest } = await readManifest(store, ref);
    const names: string[] = [];
    for (const { path } of manifest.state.filter(({ path }) => path.startsWith('training'))) {
      const bytes = await store.get(manifest.prefix + path);
      const head = Buffer.from(bytes);
      names.push(...Object.keys(JSON.parse(head.subarray(8, 8 + Number(head.readBigUInt64LE(0))).toString())));
    }
    return names;
  }
});

type MergedPart = NonNullable<NonNullable<Manifest['round']>['merged']>[number];

describe('a worker that has what the round before began with', () => {
  const small = replicasSchema.parse({ ...four, exchange: 'int8', moments: 'reset' });
  const trainedOn = async (deps: Dependencies, plan: PhasePlan, from: CheckpointRef) => {
    const round = { from, to: from.step + 20, slots: 4 };
    const input = { plan, revision: 0, parent: null, skip: [], round };
    return trainReplica(deps, { ...input, slot: 1 }, on.attempt());
  };

  it('fetches the merged change alone, and hands in the same as one that fetches the checkpoint', async () => {
    const plan = await planned(small);
    const [stays, merges, comes] = [worker(), worker(), worker()];
    const from = await driveRounds(on, [stays, merges], plan, null, { to: 20 });
    const { manifest } = await readManifest(store, from);
    const sum = (files: readonly { readonly bytes: number }[]) => files.reduce((all, { bytes }) => all + bytes, 0);
    const config = sum(manifest.sidecars.filter(({ path }) => path === 'config.json'));
    const one = await trainedOn(stays, plan, from);
    // The config lies with the state before.
    expect(one.down).toBe(sum(manifest.round!.merged!));
    expect(one.down).toBeLessThan(sum(manifest.state) + config);
    const handedIn = await filesOf(plan.run);
    // As if nobody had: of two attempts the first counts.
    await store.delete(one.member!.key);
    const other = await trainedOn(comes, plan, from);
    expect(other.down).toBe(sum(manifest.state) + config);
    expect(await filesOf(plan.run)).toEqual(handedIn);
  });

  it('fetches the checkpoint where the change is gone, or leads elsewhere', async () => {
    const plan = await planned(small);
    const [deps, merges] = [worker(), worker()];
    const from = await driveRounds(on, [deps, merges], plan, null, { to: 20 });
    const { manifest } = await readManifest(store, from);
    const [{ path, attempt }, ...others] = manifest.round!.merged as [MergedPart, ...MergedPart[]];
    await store.delete(`runs/${plan.run}/pretrain/r0/rounds/step-00000020/${attempt}/${path}`);
    const { down } = await trainedOn(deps, plan, from);
    const whole = [...manifest.state, ...manifest.sidecars.filter((file) => file.path === 'config.json')];
    // All parts of the change are asked for at once.
    expect(down).toBe([...whole, ...others].reduce((all, { bytes }) => all + bytes, 0));
  });

  async function filesOf(run: string): Promise<string[]> {
    const files: string[] = [];
    for await (const { key, etag } of store.list(`runs/${run}/pretrain/r0/rounds/step-00000040/`))
      if (/\.safetensors$/.test(key)) files.push(`${key.split('/').at(-1)} ${etag}`);
    return [...new Set(files)].sort();
  }
});

describe('a worker that merged', () => {
  const outer = { rate: 0.7, momentum: 0.9, nesterov: true };
  const replicas = replicasSchema.parse({ number: 2, steps: 10, exchange: 'int8', moments: 'reset', outer });
  const state = /\/(model|training-[\w-]+|outer)\.safetensors$/;
  /** A worker, and the keys that it asked the store for the bytes of. */
  const watched = () => {
    const asked: string[] = [];
    const watching = new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (name === 'get' || name === 'small') asked.push(args[0] as string);
          return value.apply(target, args);
        };
      },
    });
    return { asked, deps: worker({ store: watching }) };
  };

  it('fetches no file of the state that it committed, and of one that is damaged there that alone', async () => {
    const plan = await planned(replicas);
    const { asked, deps } = watched();
    const second = await driveRounds(on, [deps, worker(), worker()], plan, null, { to: 40 });
    const { manifest } = await readManifest(store, second);
    const began = (await listCommits(store, { run: plan.run, phase: 'pretrain' }, 0))[0]!;
    // Two of three train, so that the first merges every round: all that it fetched is what the phase begins with.
    const first = asked.filter((key) => state.test(key));
    expect(first.length).toBeGreaterThan(0);
    for (const key of first) expect(key.startsWith(began.prefix)).toBe(true);
    const folder = join(deps.scratch, 'rounds', plan.run, 'pretrain', second.sha256);
    expect(readdirSync(folder).sort()).toEqual(manifest.state.map(({ path }) => path).sort());
    const damaged = join(folder, 'model.safetensors');
    const bytes = readFileSync(damaged);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(damaged, bytes);
    asked.length = 0;
    await roundFrom(plan, second, [0, 1], deps);
    expect(asked.filter((key) => state.test(key))).toEqual([`${manifest.prefix}model.safetensors`]);
    const round = { steps: 20, slots: 2, members: [0, 1] };
    expect(await shaOf(plan.run, [20, 40, 60])).toEqual(
      await slowRounds(tinySettings, [round, round, round], replicas),
    );
    // With the phase its rounds end.
    expect(readdirSync(join(deps.scratch, 'rounds', plan.run, 'pretrain'))).toEqual([second.sha256]);
  });
});

/** The first round, of which slots 0 and 2 are trained by a worker that dies at every point, and so is the merge. */
describe('a round with a fixed membership ends in the same bytes', () => {
  async function begun(plan: PhasePlan) {
    const base = { plan, revision: 0, parent: null, skip: [] };
    const { checkpoint } = await beginRounds(worker(), { ...base, from: null }, on.attempt());
    return { ...base, round: { from: checkpoint, to: 20, slots: 4 } } satisfies RoundInput;
  }
  /** Tries again until it works, as Temporal does. */
  async function insist<T>(work: () => Promise<T>): Promise<{ result: T; failures: string[] }> {
    for (const failures: string[] = []; ; ) {
      try {
        return { result: await work(), failures };
      } catch (error) {
        failures.push((error as Error).message);
        if (failures.length > 20) throw error;
      }
    }
  }

  it('when its workers and who merges die between any two writes, twenty times over', async () => {
    const [expected] = await slowRounds(tinySettings, [whole]);
    const random = randomStream(5, 'deaths');
    const deaths: string[] = [];
    for (let round = 0; round < 5; round++) {
      const input = await begun(await planned());
      /** Dies at each point with some chance, at most four times a round. */
      let left = 4;
      const mortal = () =>
        worker({
          onPoint: (point) => {
            if (left === 0 || random.next() < 0.5) return;
            left--;
            deaths.push(point);
            throw new Error(`died after ${point}`);
          },
        });
      const members: MemberRef[] = [];
      for (const slot of [2, 0, 3, 1])
        members.push((await insist(() => trainReplica(mortal(), { ...input, slot }, on.attempt()))).result.member!);
      left += 4;
      const merged = await insist(() => mergeRound(mortal(), { ...input, members, late: [] }, on.attempt()));
      expect(merged.result.checkpoint).toMatchObject({ step: 20, sha256: expected });
    }
    expect(deaths.length).toBeGreaterThanOrEqual(20);
    expect(new Set(deaths)).toEqual(new Set(['objects', 'commit', 'manifest', 'hint']));
  });

  it('when a trainer is killed in a lane, when two attempts race for a slot, and when two merge at once', async () => {
    const [expected] = await slowRounds(tinySettings, [whole]);
    const input = await begun(await planned());
    const crashing = trainerOf(on, { crash: { batch: 7, once: join(on.folder, 'crashed') } });
    const slot1 = await insist(() => trainReplica(worker({ trainer: crashing }), { ...input, slot: 1 }, on.attempt()));
    expect(slot1.failures).toHaveLength(1);
    const others = [trainerOf(on), trainerOf(on, { stepMs: 2 })];
    const raced = others.map((trainer) => trainReplica(worker({ trainer }), { ...input, slot: 0 }, on.attempt()));
    const [one, other] = await Promise.all(raced);
    expect(one).toEqual(other);
    const members = [slot1.result.member!, one!.member!];
    for (const slot of [2, 3]) members.push((await trainReplica(worker(), { ...input, slot }, on.attempt())).member!);
    const merging = worker();
    const merges = [1, 2].map(() => mergeRound(merging, { ...input, members, late: [] }, on.attempt()));
    for (const { checkpoint } of await Promise.all(merges)) expect(checkpoint).toMatchObject({ sha256: expected });
    // Both keep what they wrote, where one of them is before the other.
    const kept = readdirSync(join(merging.scratch, 'rounds', input.plan.run, 'pretrain'));
    expect(kept.sort()).toEqual([input.round.from.sha256, expected].sort());
    for (const trainer of others) await trainer.close();
  });

  it('whatever a replica hands in that comes after the merge', async () => {
    const expected = await slowRounds(tinySettings, [
      { ...whole, members: [0, 1, 3] },
      { ...whole, members: [0, 1, 2, 3] },
    ]);
    const plan = await planned();
    const input = await begun(plan);
    const slow = trainerOf(on, { stepMs: 1000 });
    const frozen = trainReplica(worker({ trainer: slow }), { ...input, slot: 2 }, on.attempt());
    const members: MemberRef[] = [];
    for (const slot of [0, 1, 3])
      members.push((await trainReplica(worker(), { ...input, slot }, on.attempt())).member!);
    const { checkpoint } = await mergeRound(worker(), { ...input, members, late: [2] }, on.attempt());
    expect(checkpoint.sha256).toBe(expected[0]);
    expect((await readManifest(store, checkpoint)).manifest.round!.late).toEqual([2]);
    expect(await frozen).toMatchObject({ slot: 2, member: null });
    expect((await roundFrom(plan, checkpoint, [0, 1, 2, 3])).sha256).toBe(expected[1]);
    await slow.close();
  });
});

describe('what a round leaves', () => {
  it('on a worker is the state that it began with and the one that it merged, and nothing of its attempts', async () => {
    const deps = worker();
    const plan = await planned();
    await driveRounds(on, [deps], plan, null, { to: 40 });
    expect(readdirSync(join(deps.scratch, plan.run, 'pretrain'))).toEqual([]);
    expect(readdirSync(join(deps.scratch, 'rounds', plan.run, 'pretrain'))).toEqual(
      (await shaOf(plan.run, [20, 40])).sort(),
    );
  });
});
