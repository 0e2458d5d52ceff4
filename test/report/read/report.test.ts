import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeReport } from '../../../activities/write-report.ts';
import { claimRun } from '../../../src/checkpoint/claim.ts';
import { commitCheckpoint } from '../../../src/checkpoint/commit.ts';
import { toDocument } from '../../../src/checkpoint/documents.ts';
import { recordEnd } from '../../../src/checkpoint/ends.ts';
import { runNamed } from '../../../src/commands/report-command.ts';
import { comparisonPage, reportPage } from '../../../src/report/page.ts';
import { readComparison } from '../../../src/report/read/compare.ts';
import { readReport } from '../../../src/report/read/report.ts';
import type { RunReport } from '../../../src/report/types.ts';
import { sha256 } from '../../../src/runtime/hash.ts';
import { writeSafetensors } from '../../../src/safetensors/safetensors.ts';
import type { S3ObjectStore } from '../../../src/storage/s3.ts';
import { MetricSeries } from '../../../src/telemetry/series.ts';
import { makeSnapshot } from '../../checkpoint/snapshot.ts';
import { startServer, type TestServer } from '../../storage/versitygw.ts';

const start = Date.UTC(2026, 10, 27, 1);
const pictures = Int32Array.from({ length: 200 }, (_, i) => i);
let server: TestServer;
let store: S3ObjectStore;
let folder: string;
let report: RunReport;

/** Settings as a phase has them, as far as a report looks. */
async function keepSettings(phase: string, learningRate: number): Promise<string> {
  const tower = { width: 128, depth: 4, mlp: 512, heads: 4 };
  const settings = {
    phase,
    model: { vision: { ...tower, patch: 8, resolution: 32 }, text: { ...tower, length: 16, vocabulary: 1000 } },
    objectives: { sigmoid: 1 },
    optimizer: { learningRate },
    batches: { batch: 128 },
  };
  const bytes = JSON.stringify(settings);
  await store.put(`runs/run/data/${phase}-settings-${sha256(bytes).slice(0, 16)}.json`, bytes);
  return sha256(bytes);
}

/** Steps a second apart, from a minute of the hour on, and the checkpoint that ends them. */
async function train(phase: string, revision: number, from: number, to: number, minute: number, learningRate: number) {
  const series = new MetricSeries();
  // Not every step has a record, as after many of them: then the last may have none.
  const recorded = phase === 'distill' ? to - 2 : to;
  for (let step = from + 1; step <= recorded; step++) {
    const values = { loss: 10 / step, 'loss/sigmoid': 10 / step, learningRate, 'loss/mean': 20 / step, 'loss/max': 99 };
    series.add([{ step, time: start + minute * 60_000 + (step - from) * 1000, values }]);
  }
  await series.keep(store, { run: 'run', phase, revision, step: to });
  const settingsSha256 = await keepSettings(phase, learningRate);
  const attempt = `7-${revision + 1}-0123abcd`;
  const { ref } = await commitCheckpoint(
    store,
    await makeSnapshot({ run: 'run', phase, revision, step: to, attempt, settingsSha256 }),
  );
  return ref;
}

/** As an evaluation by a task leaves it: of 200 pictures the first `right` are right, or each second one. */
async function evaluate(
  phase: string,
  step: number,
  right: number,
  ofPictures = 'held-out',
  id = '1f2e',
  view = 'px-32',
) {
  const prefix = `evaluations/run/${phase}-${step}/emoji-${id}/`;
  const outcome = (name: string, isRight: (i: number) => boolean) => {
    const values = Float32Array.from(pictures, (i) => (isRight(i) ? 1 : 0));
    return [
      { name, dtype: 'F32' as const, shape: [200], data: new Uint8Array(values.buffer) },
      { name: `${name}/pictures`, dtype: 'I32' as const, shape: [200], data: new Uint8Array(pictures.buffer) },
    ];
  };
  const file = join(folder, `${phase}.safetensors`);
  const swapped = phase === 'distill' ? 1 : 0;
  const written = await writeSafetensors(file, [
    ...outcome('top1', (i) => i < right),
    ...outcome('top5', (i) => i % 2 === swapped),
  ]);
  const outcomes = { key: `${prefix}figures/zeroShot-px-32.safetensors`, ...written };
  await store.put(outcomes.key, await readFile(file));
  const figure = {
    evaluator: 'zeroShot',
    view,
    examples: 200,
    figures: { top1: right / 200, top5: 0.5, classes: 10 },
    intervals: { top1: { low: right / 200 - 0.06, high: right / 200 + 0.06 } },
    notes: [],
    fingerprint: {
      'data.shards': sha256('data'),
      'data.sample': 'all',
      'data.pictures': sha256(ofPictures),
      'text.case': phase,
    },
    outcomes,
  };
  const result = {
    version: 1,
    task: { version: 1, name: 'emoji' },
    model: { name: `run/${phase}@${step}`, sha256: sha256('m') },
    figures: [figure],
  };
  await store.put(`${prefix}result.json`, toDocument(result));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-read-report-'));
  server = await startServer();
  store = server.store();
  const phases = [{ name: 'pretrain' }, { name: 'distill', from: 'pretrain' }, { name: 'naflex', from: 'pretrain' }];
  await claimRun(store, 'run', sha256('recipe'), {
    seed: 3,
    data: { train: 'data/emoji' },
    model: { text: { length: 16 } },
    phases,
  });
  await train('pretrain', 0, 0, 100, 0, 0.003);
  // A person went back to step 50 after ten minutes, with another learning rate.
  await recordEnd(store, await train('pretrain', 1, 50, 120, 12, 0.001));
  await train('distill', 0, 120, 150, 15, 0.001);
  await train('naflex', 0, 120, 150, 18, 0.001);
  const shards = [3_000_000, 1_000_000].map((bytes, i) => ({ key: `data/${i}.tar`, bytes, etag: 'e' }));
  const index = { prefix: 'data', fingerprint: sha256('data'), examples: 1280, shards, corrupt: [] };
  await store.put('runs/run/data/train-index-0123456789abcdef.json', toDocument(index));
  await store.put('runs/run/data/train-index-ffffffffffffffff.json', '{');
  await evaluate('pretrain', 120, 60);
  await evaluate('naflex', 150, 60, 'held-out', '1f2e', 'patches-16');
  await evaluate('distill', 150, 100);
  const figures = {
    checkpoint: { run: 'run', phase: 'pretrain', step: 120, sha256: sha256('m') },
    examples: 200,
    zero_shot: { language: 'en', top1: 0.3 },
  };
  await store.put('runs/run/pretrain/evaluation-0123456789abcdef.json', toDocument(figures));
  await store.put('runs/run/distill/evaluation-0123456789abcdef.json', '{"checkpoint": 1}');
  report = await readReport(store, 'run');
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

it('tells what was run, from the recipe, the settings and the checkpoints', () => {
  expect(Object.fromEntries(report.facts)).toMatchObject({
    seed: '3',
    'trained on': 'data/emoji',
    model: 'text (length 16)',
    'code version': '0.1.0',
  });
  expect(report.phases.map(({ name, parent, ended }) => [name, parent, ended])).toEqual([
    ['pretrain', null, true],
    ['distill', 'pretrain', false],
    ['naflex', 'pretrain', false],
  ]);
  expect(Object.fromEntries(report.phases[0]!.facts)).toMatchObject({
    'to step': '120',
    batch: '128',
    'learning rate': '0.001',
    'image tower': '4 x 128, patch 8, 32 px',
    // 120 steps of 128 over 1,280 examples in 4 MB.
    'bytes read': 'about 48.0 MB, 12 times 4.0 MB',
  });
});

it('tells of gaps, of a way back and what was changed in it, and of attempts', () => {
  const [pretrain, distill] = report.phases;
  expect(pretrain!.spans.map((span) => span.map((time) => (time - start) / 1000))).toEqual([
    [1, 100],
    [721, 790],
  ]);
  expect(pretrain!.events.map(({ text }) => text)).toEqual([
    'no step was recorded for 10 min 21 s: paused, stopped, or without a device; went on at step 51',
    'revision 1 begins at step 51, back from step 100; 50 records were given up; changed: optimizer.learningRate from 0.003 to 0.001',
    'the checkpoint at step 120 was made by attempt 2 of its activity',
  ]);
  expect(distill!.events).toEqual([]);
});

it('draws each step once, by the mean over its record', () => {
  const curve = (name: string) => report.phases[0]!.curves.find((one) => one.name === name)!.points;
  expect(report.phases[0]!.curves.map(({ name }) => name)).toEqual(['learningRate', 'loss', 'loss/sigmoid']);
  expect(curve('loss')).toHaveLength(120);
  expect(curve('loss')[9]).toEqual([10, 2]);
  expect(curve('learningRate').filter(([step]) => step === 50 || step === 51)).toEqual([
    [50, 0.003],
    [51, 0.001],
  ]);
});

it('takes both forms of evaluations, and says which document can not be read', () => {
  expect(report.evaluations.map(({ phase, step, task, evaluator }) => [phase, step, task, evaluator])).toEqual([
    ['distill', 150, 'emoji', 'zeroShot'],
    ['naflex', 150, 'emoji', 'zeroShot'],
    ['pretrain', 120, 'emoji', 'zeroShot'],
    ['pretrain', 120, null, 'zero_shot'],
  ]);
  expect(report.evaluations[1]!.figures[0]).toEqual({ name: 'top1', value: 0.3, interval: { low: 0.24, high: 0.36 } });
  expect(report.problems).toEqual([
    expect.stringMatching(/^runs\/run\/distill\/evaluation-0123456789abcdef\.json: checkpoint/),
  ]);
});

it('pairs a phase with the one that it came from over the same pictures', () => {
  const [{ rows }] = report.comparisons as [RunReport['comparisons'][number]];
  expect(rows.map(({ name }) => name)).toEqual(['top1', 'top5']);
  // 40 of 200 became right and none wrong: quantiles of the binomial of 200 and 0.2 are 0.145 and 0.255.
  expect(rows[0]!.interval!.low).toBeCloseTo(0.145, 1.7);
  expect(rows[0]!.interval!.high).toBeCloseTo(0.255, 1.7);
  // As many became right as wrong.
  expect(rows[1]!.interval!.low).toBeLessThan(0);
  expect(rows[1]!.interval!.high).toBeGreaterThan(0);
  expect(reportPage(report)).toMatch(
    /top5<\/th><td class="number">50\.0 %<\/td><td class="number">50\.0 %<\/td><td class="number none">none \(/,
  );
});

it('holds a phase against one that began alike and saw as many examples, each at the one view that it has', () => {
  const told = report.comparisons.map(({ phase, parent, beside = false, what }) => [phase, parent, beside, what]);
  expect(told).toEqual([
    ['distill', 'pretrain', false, 'emoji, zeroShot, px-32'],
    ['naflex', 'pretrain', false, 'emoji, zeroShot, px-32 before, patches-16 after'],
    ['naflex', 'distill', true, 'emoji, zeroShot, px-32 before, patches-16 after'],
  ]);
  // What was right of naflex is what was right of pretrain: no difference at all, and 40 of 200 less than distill.
  const cells = (phase: string, against: string) =>
    new RegExp(`<th scope="row">${phase}</th><td>${against}</td><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td>`).exec(
      reportPage(report).split('What rose and what fell')[1]!,
    )!;
  const named = 'emoji, zeroShot, px-32';
  expect(cells('distill', 'pretrain').slice(1)).toEqual([`${named} top1 +20.0`, 'none', `${named} top5`]);
  const across = `${named} before, patches-16 after`;
  expect(cells('naflex', 'pretrain').slice(1)).toEqual(['none', 'none', `${across} top1; ${across} top5`]);
  expect(cells('naflex', 'distill, beside it').slice(1)).toEqual(['none', `${across} top1 −20.0`, `${across} top5`]);
});

it('does not pair what was evaluated on other pictures, though they have the same numbers', async () => {
  await evaluate('distill', 150, 100, 'others');
  const [{ rows }] = (await readReport(store, 'run')).comparisons as [RunReport['comparisons'][number]];
  expect(rows.map(({ interval }) => interval)).toEqual([null, null]);
  await evaluate('distill', 150, 100);
});

it('gives the same bytes when it reads again', async () => {
  expect(reportPage(await readReport(store, 'run'))).toBe(reportPage(report));
});

it('a page that a run writes is the one that the command writes, twice the same, and has what its workflow told', async () => {
  const log = { info() {}, warn() {} };
  const deps = { store, log, scratch: '', codeVersion: '' };
  const attempt = { id: 'a', number: 1, signal: new AbortController().signal, heartbeat() {} };
  const events = [{ at: new Date(start).toISOString(), step: 130, what: 'paused' }];
  const told = { run: 'run', phase: 'distill', events, spent: { deviceMs: 3_600_000, began: start } };
  const written = await writeReport(deps, told, attempt);
  expect(written.uri).toBe('s3://test/runs/run/report.html');
  const page = (await store.get(written.key)).toString('utf8');
  expect(page).toContain('<td>paused or stopped</td><td>paused, at step 130</td>');
  expect([Buffer.byteLength(page), sha256(page)]).toEqual([written.bytes, written.sha256]);
  expect(await writeReport(deps, told, attempt)).toEqual(written);
  expect(reportPage(await readReport(store, 'run'))).toBe(page);
  await store.purge('runs/run/distill/history.json');
});

it('says of a run that is not there what to type', async () => {
  await expect(readReport(store, 'none')).rejects.toThrow(
    'bucket test has nothing of run none; npm run siglip2 -- ls lists runs',
  );
});

it('a report is of a run, and of what is none the answer says what to type', () => {
  expect(runNamed('emoji-2')).toBe('emoji-2');
  expect(() => runNamed('emoji/pretrain@400')).toThrow(
    '"emoji/pretrain@400" is in a run, and a report is of a whole run; type report emoji, or name two to compare them',
  );
  expect(() => runNamed('../\u001b[2J')).toThrow(
    '"../\\u001b[2J" names no run; allowed: A-Z, a-z, 0-9, ., :, _ and -; npm run siglip2 -- ls lists runs',
  );
});

it('tells what workflows told, without the states that say nothing new, and what a run has cost', async () => {
  const at = (seconds: number) => new Date(start + seconds * 1000).toISOString();
  const events = [
    { at: at(1), step: 0, what: 'training' },
    { at: at(60), step: 60, what: 'asked for: pause' },
    { at: at(61), step: 60, what: 'paused' },
    { at: at(90), step: 60, what: 'training' },
    { at: at(95), step: 100, what: 'the shard to step 100 was ended by attempt 3: killed, or tried again' },
    { at: at(99), step: 100, what: 'done' },
  ];
  const spent = { deviceMs: 5_400_000, began: start };
  await store.put('runs/run/distill/history.json', toDocument({ version: 1, events, spent }));
  const { phases, facts } = await readReport(store, 'run', { prices: { hour: 2, storage: null, currency: null } });
  expect(phases[1]!.events.map(({ kind, text }) => [kind, text])).toEqual([
    ['changed', 'asked for: pause, at step 60'],
    ['paused', 'paused, at step 60'],
    ['note', 'goes on: training, at step 60'],
    ['retry', 'the shard to step 100 was ended by attempt 3: killed, or tried again, at step 100'],
  ]);
  expect(Object.fromEntries(phases[1]!.facts)).toMatchObject({ 'device time': '1.50 h' });
  // 168 seconds of pretrain and 29 of naflex are 0.05 hours.
  expect(Object.fromEntries(facts)).toMatchObject({ 'device hours': '1.55', cost: '3.11, at 2 an hour of a device' });
  await store.purge('runs/run/distill/history.json');
});

describe('two side by side', () => {
  it('shows of two phases what differs in them, their losses, and their figures paired over the same pictures', async () => {
    const compared = await readComparison(store, 'run/pretrain@120', 'run/distill');
    expect(compared.pairs.map(({ a, b }) => [a.name, b.name])).toEqual([['pretrain', 'distill']]);
    expect(compared.fields).toEqual([]);
    const [{ parent, phase, rows }] = compared.figures as [(typeof compared.figures)[number]];
    expect([parent, phase]).toEqual(['run/pretrain@120', 'run/distill@150']);
    expect(rows.map(({ name }) => name)).toEqual(['top1', 'top5']);
    const page = comparisonPage(compared);
    expect(page).toContain('Both have the same recipe.');
    expect(page).toContain('none (');
    expect(comparisonPage(await readComparison(store, 'run/pretrain@120', 'run/distill'))).toBe(page);
  });

  it('calls two checkpoints of one phase by their steps', async () => {
    const page = comparisonPage(await readComparison(store, 'run/pretrain@60', 'run/pretrain@120'));
    const heads = [...page.matchAll(/<thead>.*?<\/thead>/gs)].map(([head]) => head);
    expect(heads.find((head) => head.includes('run/pretrain@60'))).toContain('run/pretrain@120');
    expect(page).not.toMatch(/run\/pretrain(?!@)/);
  });

  it('tells phases of two runs by their names, and the fields of their recipes that are not the same', async () => {
    const other = {
      seed: 4,
      data: { train: 'data/emoji' },
      phases: [{ name: 'distill' }, { name: 'pretrain', batch: 7 }],
    };
    await claimRun(store, 'other', sha256('other'), other);
    await store.put('runs/other/data/pretrain-settings-0123456789abcdef.json', '{}');
    const compared = await readComparison(store, 'run', 'other');
    expect(compared.pairs.map(({ a, b }) => [a.name, b.name])).toEqual([['pretrain', 'pretrain']]);
    expect(compared.fields).toEqual([
      { at: 'seed', a: '3', b: '4' },
      { at: 'model', a: '{"text":{"length":16}}', b: 'not said' },
      { at: 'phases.pretrain.batch', a: 'not said', b: '7' },
      { at: 'phases.distill.from', a: '"pretrain"', b: 'not said' },
      { at: 'phases.naflex', a: '{"from":"pretrain"}', b: 'not said' },
    ]);
    expect(comparisonPage(compared)).toContain('They were not evaluated alike.');
  });

  it('takes the key of a result, and says what to type where nothing can be compared', async () => {
    const key = 'evaluations/run/distill-150/emoji-1f2e/result.json';
    const { figures } = await readComparison(store, 'run/pretrain', key);
    expect(figures[0]!.rows[0]).toMatchObject({ name: 'top1', before: 0.3, after: 0.5 });
    await expect(readComparison(store, 'run/none', 'run')).rejects.toThrow(
      'run run has no phase none; npm run siglip2 -- ls run shows what is there',
    );
    await claimRun(store, 'third', sha256('third'), { phases: [{ name: 'only' }] });
    await store.put('runs/third/data/only-settings-0123456789abcdef.json', '{}');
    await expect(readComparison(store, 'run', 'third')).rejects.toThrow(
      'run and third have no phase of one name: run has pretrain, distill, naflex; third has only; name a phase of each, such as run/pretrain',
    );
  });
});

it('of two results of one step the later one is shown, and none of a step that was given up', async () => {
  // The server tells times by the second.
  await delay(1100);
  await evaluate('distill', 150, 80, 'held-out', '9f2e');
  // The phase went back and has ended at 120.
  await evaluate('pretrain', 130, 180);
  const { evaluations } = await readReport(store, 'run');
  const told = evaluations.flatMap(({ phase, step, task, figures }) =>
    task ? [[phase, step, figures[0]!.value]] : [],
  );
  expect(told).toEqual([
    ['distill', 150, 0.4],
    ['naflex', 150, 0.3],
    ['pretrain', 120, 0.3],
  ]);
});
