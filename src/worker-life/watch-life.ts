import type { WorkerLife } from './life.ts';
import { noticeSources, watchNotices } from './notices.ts';
import type { WorkerRules } from './rules.ts';

interface LifeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** A timer of Node takes no more. */
const longestTimerMs = 2 ** 31 - 1;

/** Ends the life by signals, by notices of preemption and by its longest time, from now on. */
export function watchLife(life: WorkerLife, { notice, maxMs }: WorkerRules, log: LifeLog): void {
  const stop = (by: 'person' | 'preemption' | 'rule', why: string) => {
    if (life.stop({ by, why })) log.info({ why }, 'ending: a shard in progress commits a checkpoint first');
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => stop(signal === 'SIGINT' ? 'person' : 'preemption', signal));
  if (maxMs !== null) endAfter(maxMs, () => stop('rule', `--max-hours ${maxMs / 3_600_000}`));
  void watchNotices(noticeSources(notice), {
    signal: life.stopping,
    onTrouble: (source, error) =>
      log.warn({ source, reason: error.message }, 'a notice of preemption could not be looked for; it is tried again'),
    onNotice: (why) => stop('preemption', `notice of preemption from ${why}`),
  });
}

/** `ms` after the process began, however many days that is. */
function endAfter(ms: number, end: () => void): void {
  const left = ms - performance.now();
  if (left <= 0) end();
  else setTimeout(() => endAfter(ms, end), Math.min(left, longestTimerMs)).unref();
}
