import { keptAt, money, spentText } from '../../costs/money.ts';
import type { Prices } from '../../costs/prices.ts';
import {
  addUsed,
  type CostPart,
  costOf,
  type DevicePart,
  deviceMsIn,
  deviceParts,
  type Used,
} from '../../costs/used.ts';
import { byteText } from '../numbers.ts';
import type { CostTable, Fact } from '../types.ts';

const titles: readonly (readonly [CostPart, string])[] = [
  ['trained', 'trained'],
  ['repeated', 'repeated'],
  ['preparing', 'preparing'],
  ['committing', 'last uploads'],
  ['scoring', 'scoring'],
  ['evaluating', 'evaluation'],
  ['requests', 'requests'],
  ['egress', 'egress'],
];
const isDevice = (part: CostPart): part is DevicePart => (deviceParts as readonly string[]).includes(part);
const minutes = (ms: number) => `${(ms / 60_000).toFixed(1)} min`;

/** What each phase used and cost, by what for: of a column that no phase has anything in there is none. */
export function costTable(phases: readonly { readonly name: string; readonly used: Used | null }[]): CostTable | null {
  const told = phases.flatMap(({ name, used }) => (used ? [{ name, used }] : []));
  if (told.length === 0) return null;
  const rows = told.length > 1 ? [...told, { name: 'all', used: told.map(({ used }) => used).reduce(addUsed) }] : told;
  const has = (part: CostPart) =>
    rows.some(({ used }) => (isDevice(part) ? (used.ms[part] ?? 0) > 0 : (used.cost[part] ?? 0) > 0));
  const parts = titles.filter(([part]) => has(part));
  const cell = (used: Used, part: CostPart) => {
    const cost = used.cost[part];
    const told = [
      ...(isDevice(part) ? [minutes(used.ms[part] ?? 0)] : []),
      ...(cost === undefined ? [] : [money(cost)]),
    ];
    return told.join(', ');
  };
  return {
    head: ['phase', ...parts.map(([, title]) => title), 'in all', 'read', 'written'],
    rows: rows.map(({ name, used }) => [
      name,
      ...parts.map(([part]) => cell(used, part)),
      [
        minutes(deviceMsIn(used)),
        ...(Object.keys(used.cost).length > 0 ? [money(costOf(used), used.currency)] : []),
      ].join(', '),
      `${byteText(used.store.readBytes)} in ${used.store.reads}`,
      `${byteText(used.store.writtenBytes)} in ${used.store.writes}`,
    ]),
  };
}

/**
 * What a run has cost. Where no worker knew a price, or a release of before counted hours alone, by the price of here.
 * @param bytes that are kept of it
 */
export function costFacts(
  used: readonly (Used | null)[],
  hours: number,
  bytes: number,
  prices: Pick<Prices, 'hour' | 'storage' | 'currency'>,
): Fact[] {
  const told = used.flatMap((one) => one ?? []);
  const counted = told.length > 0 ? spentText(told.reduce(addUsed)) : null;
  const { hour, currency } = prices;
  const kept = keptAt(bytes, prices);
  return [
    ...(counted !== null ? ([['cost', counted]] as Fact[]) : []),
    ...(counted === null && hour !== null
      ? ([['cost', `${(hours * hour).toFixed(2)}, at ${hour} an hour of a device`]] as Fact[])
      : []),
    ...(kept !== null ? ([['keeping it', `${money(kept, currency)} a month`]] as Fact[]) : []),
  ];
}
