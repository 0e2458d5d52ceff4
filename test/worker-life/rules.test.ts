import { describe, expect, it } from 'vitest';
import { rulesOf } from '../../src/worker-life/rules.ts';
import { workerProgram } from '../../src/worker-program.ts';

it('options become milliseconds and numbers, and what is not said is no rule', () => {
  expect(rulesOf({})).toEqual({ idleMs: null, maxShards: null, maxMs: null, notice: {} });
  expect(
    rulesOf({
      exitWhenIdle: '120s',
      maxShards: '3',
      maxHours: '11.5',
      noticeFile: '/run/gone',
      noticeCommand: 'false',
    }),
  ).toEqual({
    idleMs: 120_000,
    maxShards: 3,
    maxMs: 41_400_000,
    notice: { file: '/run/gone', command: 'false' },
  });
  expect(rulesOf({ exitWhenIdle: '1.5m' }).idleMs).toBe(90_000);
  expect(rulesOf({ exitWhenIdle: '2h' }).idleMs).toBe(7_200_000);
});

describe('one sentence says what is wrong', () => {
  it.each([
    [
      { exitWhenIdle: '120' },
      '--exit-when-idle is "120"; allowed: a number with s, m or h, of at least 1s, such as 120s',
    ],
    [
      { exitWhenIdle: '0s' },
      '--exit-when-idle is "0s"; allowed: a number with s, m or h, of at least 1s, such as 120s',
    ],
    [{ maxShards: '1.5' }, '--max-shards is "1.5"; allowed: a whole number of at least 1'],
    [{ maxShards: '' }, '--max-shards is ""; allowed: a whole number of at least 1'],
    [{ maxHours: '-1' }, '--max-hours is "-1"; allowed: a number above 0, such as 11.5'],
    [{ maxHours: 'Infinity' }, '--max-hours is "Infinity"; allowed: a number above 0, such as 11.5'],
    [
      { noticeUrl: 'metadata/preempted' },
      '--notice-url is "metadata/preempted"; allowed: an address that begins with http:// or https://',
    ],
    [
      { noticeUrl: 'file:///etc/passwd' },
      '--notice-url is "file:///etc/passwd"; allowed: an address that begins with http:// or https://',
    ],
    [{ noticeCommand: ' ' }, '--notice-command is " "; allowed: something that is not empty'],
  ])('%j', (options, sentence) => {
    expect(() => rulesOf(options)).toThrow(sentence);
  });

  it('of shards that no queue of the worker has', async () => {
    const program = workerProgram(async () => {
      throw new Error('it must not run');
    });
    const args = ['node', 'worker', '--queues', 'siglip2', '--max-shards', '2'];
    await expect(program.parseAsync(args)).rejects.toThrow(
      '--max-shards counts work of siglip2-gpu and siglip2-annotate, and --queues siglip2 has none; add one of them, or use --exit-when-idle',
    );
  });
});
