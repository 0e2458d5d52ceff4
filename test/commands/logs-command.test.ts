import { expect, it } from 'vitest';
import { formatLogLine } from '../../src/commands/format-log-line.ts';
import { logOf, noneOf, sinceOf } from '../../src/commands/logs-command.ts';
import type { ReadLine } from '../../src/run-logs/read.ts';

const line: ReadLine = {
  time: '2026-11-27T07:30:12.345Z',
  level: 'info',
  text: 'committed step 400',
  ...{
    run: 'pets',
    phase: 'pretrain',
    worker: 'box-17-0badcafe',
    activity: 'trainShard',
    attempt: '3-1-ab',
    number: 1,
  },
};
const plain = { colours: false, phases: true };

it('a line says when, where, by whom and what', () => {
  expect(formatLogLine(line, plain)).toBe('2026-11-27 07:30:12.345  pretrain box-17 trainShard  committed step 400');
  const other = { ...line, level: 'warn', number: 2, from: 'trainer', fields: { crashes: 2, why: 'killed' } } as const;
  expect(formatLogLine(other, { colours: false, phases: false })).toBe(
    '2026-11-27 07:30:12.345  box-17 trainShard (attempt 2) trainer  warn committed step 400  crashes=2  why=killed',
  );
  expect(formatLogLine({ ...line, level: 'error' }, { ...plain, colours: true })).toContain(
    '\u001b[31merror committed',
  );
});

it('what a worker says of its first step stands in the line to its end', () => {
  const seconds = {
    load: 4.367,
    connect: 2.242,
    wait: 979.714,
    trainer: 5.636,
    fetch: 0.006,
    compile: 4.211,
    step: 17.4,
  };
  expect(formatLogLine({ ...line, fields: { seconds } }, plain)).toContain(`seconds=${JSON.stringify(seconds)}`);
});

it('an answer without a line says what was asked for', () => {
  expect(noneOf('pets/pretrain', { attempt: '9' })).toBe(
    'the log of pets/pretrain has no line of --attempt 9; without that it is printed whole',
  );
  expect(noneOf('pets', { attempt: '9', since: '1m' })).toMatch(/no line of --attempt 9 of --since 1m; without them/);
});

it('a line that someone else put there steers no terminal', () => {
  const bad = '\u001b[2J\u009b31m\u202e\n\r';
  const text = formatLogLine(
    { ...line, time: `2026${bad}`, text: bad, worker: bad, activity: bad, phase: bad, fields: { [bad]: bad } },
    plain,
  );
  expect(text).not.toMatch(/[\p{Cc}\u202e]/u);
});

it('a run and a phase are told by two words, or by one with a slash', () => {
  expect(logOf('pets')).toEqual({ run: 'pets' });
  expect(logOf('pets', 'pretrain')).toEqual({ run: 'pets', phase: 'pretrain' });
  expect(logOf('pets/pretrain')).toEqual({ run: 'pets', phase: 'pretrain' });
  for (const [run, phase] of [['../x'], ['a b'], ['pets/pretrain', 'again'], ['pets', ''], ['']] as const)
    expect(() => logOf(run!, phase)).toThrow(/names no run and phase; type logs RUN or logs RUN PHASE/);
});

it('--since is a while ago, or a time', () => {
  const now = Date.parse('2026-11-27T08:00:00Z');
  expect(sinceOf('90s', now)).toBe(now - 90_000);
  expect(sinceOf('10m', now)).toBe(now - 600_000);
  expect(sinceOf('2h', now)).toBe(now - 7_200_000);
  expect(sinceOf('1d', now)).toBe(now - 86_400_000);
  expect(sinceOf('2026-11-27T07:30Z', now)).toBe(now - 1_800_000);
  for (const wrong of ['', 'yesterday', '10', '10 m', '-5m', '2026-13-45'])
    expect(() => sinceOf(wrong, now)).toThrow(/^--since is ".*"; allowed: 30s, 10m, 2h, 1d, or a time such as /);
});
