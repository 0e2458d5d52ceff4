import type { Info } from '@temporalio/activity';
import { namePattern } from '../src/checkpoint/keys.ts';
import type { AttemptLog } from '../src/run-logs/run-logs.ts';
import type { Place } from '../src/run-logs/segment.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import type { Attempt, Dependencies } from './dependencies.ts';

/** What an attempt touches the world through, and what tells the log of its run that it is over. */
interface Logged {
  readonly deps: Dependencies;
  ended(): void;
}

/**
 * The dependencies of one attempt: what it logs, and what a trainer says that works for it, is also in the log of its run
 * in the bucket, from its begin to its end.
 */
export function loggedAttempt(
  deps: Dependencies,
  input: unknown,
  { activityType, workflowExecution }: Pick<Info, 'activityType' | 'workflowExecution'>,
  { id, number }: Pick<Attempt, 'id' | 'number'>,
): Logged {
  const place = placeOf(input, workflowExecution?.workflowId ?? '');
  const own = place && deps.runLogs?.at(place, { activity: activityType, attempt: id, number });
  if (!own) return { deps, ended() {} };
  const on = deps.device === undefined ? {} : { on: deps.device };
  own.say('info', on, `begins${number > 1 ? `, attempt ${number}` : ''}`);
  const began = performance.now();
  const { log, trainer } = deps;
  const both = (level: 'info' | 'warn') => (fields: object, message: string) => {
    // First where a kill between the two takes nothing from those who look later.
    own.say(level, { ...fields, ...on }, message);
    log[level](fields, message);
  };
  return {
    deps: {
      ...deps,
      log: { info: both('info'), warn: both('warn') },
      ...(trainer && { trainer: heardBy(own, trainer) }),
    },
    ended() {
      own.say('info', {}, `over after ${((performance.now() - began) / 1000).toFixed(1)} s`);
      own.ended();
    },
  };
}

function heardBy(own: AttemptLog, trainer: TrainerProcess): TrainerProcess {
  const log = {
    info: (_: object, line: string) => own.hear('info', {}, line),
    warn: (_: object, line: string) => own.hear('warn', {}, line),
  };
  return {
    run: (job, events, signal) => trainer.run(job, { ...events, log }, signal),
    device: () => trainer.device(log),
    committed: (seconds) => trainer.committed(seconds),
    holds: (sha256, settings, threads) => trainer.holds(sha256, settings, threads),
    close: () => trainer.close(),
  };
}

/**
 * Whose log an activity belongs in: what its plan names, else the workflow by its ID, RUN or RUN/PHASE or below that, as
 * evaluations, packs and filters have it. Null for an ID that can be no key.
 */
export function placeOf(input: unknown, workflowId: string): Place | null {
  const { plan, run } = (input ?? {}) as { plan?: { run?: unknown; phase?: unknown }; run?: unknown };
  const [first, second] = workflowId.split('/');
  for (const [name, phase] of [
    [plan?.run, plan?.phase],
    [run, null],
    [first, second],
  ])
    if (isName(name) && (phase === null || phase === undefined || isName(phase)))
      return { run: name, phase: phase ?? null };
  return null;
}

const isName = (name: unknown): name is string => typeof name === 'string' && namePattern.test(name);
