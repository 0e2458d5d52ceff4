import { exchanges } from './exchange.ts';
import { type RoundPlan, roundTime } from './time.ts';

export interface Help {
  readonly what: string;
  readonly utilisation: number;
}

/** So many times as busy, or it is not worth a word. */
const least = 1.005;

/** What would bring utilisation up, most first, each by itself and counted as the plan is. */
export function whatHelps(plan: RoundPlan, most = 4): Help[] {
  const now = roundTime(plan);
  const with_ = (what: string, of: Partial<RoundPlan>) => ({
    what,
    utilisation: roundTime({ ...plan, ...of }).utilisation,
  });
  const fewer = exchanges.slice(exchanges.indexOf(plan.exchange) + 1);
  const { others = [], kept = 0 } = plan;
  const frozen = plan.parameters.filter(({ byRow }) => !byRow);
  const found = [
    ...fewer.map((exchange) => with_(`exchange ${exchange}`, { exchange })),
    ...(others.length + kept > 0
      ? [
          with_('moments that begin at zero ("moments": "reset")', {
            others: plan.besideMoments ?? [],
            kept: 0,
            ...(plan.state !== undefined && { state: plan.state - (plan.moments ?? 0) }),
          }),
        ]
      : []),
    with_('an outer step without momentum ("momentum": 0)', { outer: 0 }),
    with_('rounds twice as long', { steps: 2 * plan.steps }),
    ...(frozen.length < plan.parameters.length
      ? [
          with_('tables of tokens that are not trained', {
            parameters: frozen,
            others: others.filter(({ byRow, name }) => !byRow || name === plan.bank?.name),
          }),
        ]
      : []),
    ...(now.starved > 0 ? [with_('examples that lie on the workers', { dataBytes: 0 })] : []),
    with_('machines that send by BBR', { link: { ...plan.link, congestion: 'bbr' } }),
    with_('each worker merging its share', { shared: true }),
    with_('a merger beside the store, at 10 Gbit/s and no latency', {
      mergerLink: { bits: Math.max(1e10, plan.mergerLink.bits), latency: 0, loss: 0 },
    }),
  ];
  return found
    .filter(({ utilisation }) => utilisation >= least * now.utilisation)
    .sort((a, b) => b.utilisation - a.utilisation)
    .slice(0, most);
}
