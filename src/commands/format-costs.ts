import { deviceText, money, spentText } from '../costs/money.ts';
import { addUsed, costOf, deviceMsIn, isUsed, limitedCostOf, type Used } from '../costs/used.ts';
import type { RunStatus } from './run-status.ts';

type Line = {
  readonly phase: string;
  readonly step: number;
  readonly from: number;
  readonly total: number;
  readonly used?: Used;
};

/** What a run has spent, what is being trained just now too, and what it will have when it ends as it goes on. */
export function costLines({ workflow, result, pending }: RunStatus): string[] {
  const told = workflow?.used ?? sumOf((result?.phases ?? []).flatMap(({ used }) => used ?? []));
  const now = pending.flatMap(({ live }) => (isUsed(live?.used) ? live.used : []));
  const all = sumOf([...(told ? [told] : []), ...now]);
  if (!all || deviceMsIn(all) === 0) return [];
  const spent = spentText(all);
  const lines = spent === null ? [] : [`  spent ${spent}`];
  lines.push(`  ${deviceText(all)}`);
  const end = spent === null || !workflow ? null : expected(workflow, costOf(all), pending);
  return end === null ? lines : [...lines, `  ${end(all.currency)}`];
}

const sumOf = (all: readonly Used[]): Used | undefined => (all.length > 0 ? all.reduce(addUsed) : undefined);

/** By what a step of each phase has cost so far, repeated ones too; null while none tells, or where it has ended. */
function expected(
  workflow: NonNullable<RunStatus['workflow']>,
  spent: number,
  pending: RunStatus['pending'],
): ((currency?: string) => string) | null {
  if (['done', 'stopped', 'failed'].includes(workflow.state)) return null;
  // A phase alone does not say where it began.
  if (!('phases' in workflow)) return null;
  const lines = workflow.phases as readonly Line[];
  let left = 0;
  const unknown: string[] = [];
  for (const { phase, from, total, ...line } of lines) {
    const live = pending.find((work) => work.phase === phase && isUsed(work.live?.used))?.live;
    const used = sumOf([line.used, live?.used].flatMap((one) => one ?? []));
    const step = Math.max(line.step, live?.step ?? 0);
    if (step >= total) continue;
    if (used && step > from && costOf(used) > 0) left += ((total - step) * limitedCostOf(used)) / (step - from);
    else unknown.push(phase);
  }
  if (left === 0) return null;
  const without =
    unknown.length > 0
      ? `, without ${unknown.slice(0, 5).join(', ')} and evaluations`
      : ', without evaluations to come';
  return (currency) => `about ${money(spent + left, currency)} at its end${without}`;
}
