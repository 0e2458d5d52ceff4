import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { redactor } from '../../src/runtime/secrets.ts';
import { logsHere, place, speaker, texts } from './fixture.ts';

let here: ReturnType<typeof logsHere>;
let now = Date.parse('2026-11-27T07:30:00Z');
beforeEach(() => {
  here = logsHere();
});
afterEach(() => here.close());
const clock = { now: () => now };

it('lines of two workers at one phase are read as one log, in the order of their times', async () => {
  const [first, second] = [await here.open(clock), await here.open(clock)];
  const [a, b] = [first.at(place, speaker), second.at(place, { ...speaker, attempt: '3-2-beef', number: 2 })];
  for (let i = 0; i < 6; i++) {
    (i % 2 === 0 ? a : b).say('info', { run: 'pets', phase: 'pretrain', step: i }, `line ${i}`);
    now += 4000;
    first.tick();
  }
  b.hear('warn', {}, 'from its trainer');
  first.at({ run: 'pets', phase: null }, speaker).say('info', {}, 'planned');
  await Promise.all([first.close(1000), second.close(1000)]);

  const lines = await here.read();
  expect(texts(lines)).toEqual([0, 1, 2, 3, 4, 5].map((i) => `line ${i}`).concat('from its trainer'));
  expect(lines[1]).toEqual({
    time: '2026-11-27T07:30:04.000Z',
    level: 'info',
    text: 'line 1',
    fields: { step: 1 },
    ...{ activity: 'trainShard', attempt: '3-2-beef', number: 2 },
    ...{ ...place, worker: second.worker },
  });
  expect(lines.at(-1)).toMatchObject({ level: 'warn', from: 'trainer' });
  // A run shows what is of its own as well, and a phase what is of it alone.
  expect(texts(await here.read({ run: 'pets' }))).toEqual([...texts(lines), 'planned']);
  expect(await here.read({ run: 'pets', phase: 'other' })).toEqual([]);
  // Twice ten seconds had passed for the first: three objects at most, and nothing is left on the disk.
  expect([...here.store.objects.keys()].filter((key) => key.includes(first.worker)).length).toBeLessThanOrEqual(4);
  expect(readdirSync(here.folder)).toEqual([]);
});

it('what a worker said before kill -9 is sent by the next one on its disk, to the last line, and says so', async () => {
  const script = fileURLToPath(new URL('killed-worker.ts', import.meta.url));
  const { signal } = spawnSync(process.execPath, ['--import', 'tsx', script, here.folder], { stdio: 'inherit' });
  expect(signal).toBe('SIGKILL');
  expect(await here.read()).toEqual([]);
  // The kill, or a full disk, may have come in the middle of a line.
  const [dead] = readdirSync(here.folder);
  appendFileSync(join(here.folder, dead!, '000001.open'), '{"time":"2026-');

  const [next, another] = await Promise.all([here.open(), here.open()]);
  await expect.poll(() => here.store.objects.size).toBe(1);
  await Promise.all([next.close(1000), another.close(1000)]);
  const lines = await here.read();
  expect(texts(lines)).toEqual([
    ...[1, 2, 3, 4, 5].map((i) => `line ${i}`),
    'the last words',
    expect.stringMatching(/^the worker was killed after this/),
  ]);
  expect(lines.at(-2)).toMatchObject({ from: 'trainer', worker: dead });
  expect(here.store.puts).toBe(1);
  expect(here.said.filter((line) => line.startsWith('the logs of a worker that is gone'))).toHaveLength(1);
  expect(readdirSync(here.folder)).toEqual([]);
});

it('a successor that dies between any two steps leaves its own successor the same bytes to send', async () => {
  const header = { segment: 1, ...place, worker: 'gone-1', sequence: 1, code: '' };
  const line = { time: '2026-11-27T07:30:00.000Z', level: 'info', text: 'said' };
  const open = [header, line].map((one) => `${JSON.stringify(one)}\n`).join('');
  const left = (files: Record<string, string>) => {
    mkdirSync(join(here.folder, 'gone-1'), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(here.folder, 'gone-1', name), text);
  };
  const sent: string[] = [];
  const send = async () => {
    const { worker: _, ...logs } = { worker: '', of: await here.open() };
    await expect.poll(() => readdirSync(here.folder).includes('gone-1')).toBe(false);
    await logs.of.close(1000);
    expect(here.store.objects.size).toBe(1);
    sent.push([...here.store.objects].map(([key, body]) => `${key}\n${body}`).join('\n'));
  };
  // Killed itself; after it closed the file; after it had also sent it, and before it removed it.
  left({ '000001.open': open });
  await send();
  const closed = [...here.store.objects.values()][0]!.toString();
  left({ '000001.open': open, '000001.jsonl': closed });
  await send();
  left({ '000001.jsonl': closed });
  await send();
  expect(new Set(sent).size).toBe(1);
});

it('a bucket that is away costs nobody time, and gets what it missed up to a bound, with a count of the rest', async () => {
  here.store.away = true;
  const logs = await here.open({ ...clock, limits: { segmentBytes: 2000, waitingBytes: 20_000 } });
  const log = logs.at(place, speaker);
  const began = performance.now();
  for (let i = 0; i < 500; i++) log.say('info', {}, `line ${i}`);
  // A line is one write to the disk: 500 take some milliseconds, whatever the bucket does.
  expect(performance.now() - began).toBeLessThan(2000);
  await expect.poll(() => here.said.length).toBe(1);
  expect(here.said[0]).toContain('logs of runs wait on this disk');
  here.store.away = false;
  await expect.poll(() => here.said.length).toBe(2);
  log.say('info', {}, 'the last');
  await logs.close(1000);

  const found = texts(await here.read());
  const kept = found.filter((text) => /^line \d/.test(text)).length;
  expect(kept).toBeGreaterThan(100);
  expect(found).toEqual([
    ...Array.from({ length: kept }, (_, i) => `line ${i}`),
    `${500 - kept} lines left out: bucket and disk took no more`,
    'the last',
  ]);
});

it('what did not arrive before a worker ended is sent by the next one, and not called killed', async () => {
  here.store.away = true;
  const first = await here.open();
  first.at(place, speaker).say('info', {}, 'before the end');
  await first.close(20);
  expect(readdirSync(here.folder)).toHaveLength(1);
  here.store.away = false;
  const next = await here.open();
  await expect.poll(() => here.store.objects.size).toBe(1);
  await next.close(1000);
  expect(texts(await here.read())).toEqual(['before the end']);
});

it('a library that never stops talking is cut to a rate, and leaves what others say and its own last lines', async () => {
  const rate = { burst: 3000, bytesPerSecond: 100 };
  const logs = await here.open({ ...clock, limits: { trainer: rate } });
  const log = logs.at(place, speaker);
  for (let i = 0; i < 1000; i++) {
    log.hear('warn', {}, `chatter ${i}`);
    if (i % 100 === 0) log.say('info', {}, `committed ${i}`);
    now += 10;
  }
  log.ended();
  await logs.close(1000);
  const lines = await here.read();
  const chatter = lines.filter(({ text }) => text.startsWith('chatter'));
  expect(lines.filter(({ text }) => text.startsWith('committed'))).toHaveLength(10);
  expect(chatter.slice(-20).map(({ text }) => text)).toEqual(
    Array.from({ length: 20 }, (_, i) => `chatter ${980 + i}`),
  );
  const told = lines.map(({ text }) => Number(/^(\d+) lines of the trainer left out/.exec(text)?.[1] ?? 0));
  expect(chatter.length + told.reduce((sum, count) => sum + count, 0)).toBe(1000);
  // 10 seconds at 100 bytes, the burst, and the last words.
  const bytes = [...here.store.objects.values()].reduce((sum, body) => sum + body.length, 0);
  expect(bytes).toBeLessThan(14_000);
});

it('no secret gets in: by value, by shape, in fields and errors, and in what is cut', async () => {
  const secret = 'planted+secret/of-42';
  const logs = await here.open({ redact: redactor([secret]) });
  const log = logs.at(place, speaker);
  log.say('info', { token: secret, deep: [{ url: `https://a:${secret}@b` }] }, `value ${secret}`);
  log.say('warn', { err: new Error(`outer ${secret}`, { cause: new Error(`inner ${secret}`) }) }, 'failed');
  log.hear('warn', {}, `\u001b[31mcoloured ${secret.slice(0, 8)}\u001b[0m${secret.slice(8)}`);
  for (const length of [7990, 8000, 8010, 3990, 16_300])
    log.hear('warn', {}, `${'x '.repeat(length / 2)}${secret} after`);
  log.hear('info', {}, `${'y'.repeat(7995)}${secret}`);
  await logs.close(1000);
  const all = [...here.store.objects].map(([key, body]) => key + body).join('\n');
  expect(all).toContain('value [secret]');
  expect(all).toContain('failed: outer [secret]; because of: inner [secret]');
  for (const part of [secret, secret.slice(0, 12), secret.slice(-9), encodeURIComponent(secret)])
    expect(all).not.toContain(part);
});

it('a worker on a disk that will not have it goes on without logs, and says so once', async () => {
  writeFileSync(join(here.folder, 'a-file'), '');
  expect(await here.open({ folder: join(here.folder, 'a-file') })).toBeNull();
  expect(here.said).toEqual([expect.stringMatching(/^there will be no logs of runs in the bucket .*ENOTDIR/)]);
});

it('what comes from outside stands in it as harmless text, and short', async () => {
  const logs = await here.open();
  const log = logs.at(place, speaker);
  log.hear('warn', {}, '\u001b[2J\u001b[31mred\u001b[0m \u202ereversed\u0007 Grüße 日本 🙂\tend');
  log.hear('warn', {}, 'It has 2 problems:\n- one\r\n  - two\n');
  log.hear('warn', {}, `long ${'ä'.repeat(100_000)}`);
  const circle: Record<string, unknown> = { name: 'circle' };
  circle.self = circle;
  log.say('info', { circle }, 'is no JSON');
  log.say('info', { big: 'b '.repeat(5000), number: 12n }, 'large fields');
  await logs.close(1000);
  const [first, lines, second, third] = await here.read();
  expect(first!.text).toBe('red ?reversed? Grüße 日本 🙂 end');
  // A recipe's mistakes come as a list: they are read in one line.
  expect(lines!.text.trim()).toBe('It has 2 problems: - one - two');
  expect(second!.text).toMatch(/^long .*\(\d+ characters\)$/);
  expect(third).toMatchObject({
    text: 'large fields',
    fields: { more: expect.stringMatching(/^\{"big":"b b .*\.\.\. \(\d+ characters\)$/) },
  });
  expect(JSON.stringify(third).length).toBeLessThan(3000);
});
