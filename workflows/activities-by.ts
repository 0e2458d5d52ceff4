import { type ActivityOptions, proxyActivities, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/types/activities.ts';
import { isObject } from './wishes.ts';

type Untyped = Record<string, (input: unknown) => Promise<unknown>>;

/**
 * Activities by their options. Each is scheduled with a summary for Temporal's pages, which names what it works for and how
 * to read what it says. Summaries are no part of what a history is replayed by.
 */
export function activitiesBy(options: ActivityOptions): Activities {
  const one = (name: string) => (input: unknown) => {
    const summary = summaryOf(input, workflowInfo().workflowId);
    return proxyActivities<Untyped>({ ...options, summary })[name]!(input);
  };
  return new Proxy({} as Activities, { get: (_, name) => one(String(name)) });
}

/** The server takes a summary of 400 bytes, encrypted ones too, and a history has one for each activity. */
const longest = 100;

/** "to step 400; siglip2 logs pets pretrain". Of names that are too long the command is cut, not what is done. */
export function summaryOf(input: unknown, workflowId: string): string {
  const given = isObject(input) ? input : {};
  const plan = isObject(given.plan) ? given.plan : {};
  const [run, phase] = typeof plan.run === 'string' ? [plan.run, plan.phase] : workflowId.split('/');
  const what = Object.entries(parts).flatMap(([name, say]) =>
    typeof given[name] === 'number' ? [say(given[name] as number)] : [],
  );
  return [...what, `siglip2 logs ${[run, phase].filter((name) => typeof name === 'string').join(' ')}`]
    .join('; ')
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, longest);
}

/** Which part of the work an activity is, by its input. */
const parts: Readonly<Record<string, (value: number) => string>> = {
  toStep: (step) => `to step ${step}`,
  shard: (shard) => `shard ${shard}`,
  slot: (slot) => `slot ${slot}`,
  part: (part) => `part ${part}`,
  partition: (partition) => `partition ${partition}`,
  figure: (figure) => `figure ${figure}`,
};

/**
 * Shows on Temporal's page of a workflow where it is, if that is told, and how to read its log. It is asked for, and is no
 * part of a history.
 */
export function showLog(at?: string): void {
  const [run, phase] = workflowInfo().workflowId.split('/');
  const log = `Logs: \`npm run siglip2 -- logs ${phase === undefined ? run : `${run} ${phase}`} --follow\``;
  setCurrentDetails(at === undefined ? log : `${at}\n\nStatus: \`npm run siglip2 -- status ${run}\`\n\n${log}`);
}
