import type { Prices } from './prices.ts';
import { type CostPart, costOf, type DevicePart, deviceMsIn, type Used } from './used.ts';

const hourMs = 3_600_000;
/** Providers bill GB of 2^30 bytes or of 10^9: by the smaller nothing costs more than is said. */
const gigabyte = 1e9;

/** What a stretch of device time and of requests used, with its price where the prices say one. */
export function usedAt(
  ms: Readonly<Partial<Record<DevicePart, number>>>,
  store: Used['store'],
  { currency, hour, egress, writes, reads }: Prices,
): Used {
  const device = Object.entries(ms).map(([part, time = 0]) => [part, (time / hourMs) * (hour ?? 0)] as const);
  return {
    ms,
    cost: {
      ...(hour !== null && (Object.fromEntries(device) as Partial<Record<CostPart, number>>)),
      ...((writes !== null || reads !== null) && {
        requests: (store.writes * (writes ?? 0) + store.reads * (reads ?? 0)) / 1000,
      }),
      ...(egress !== null && { egress: (store.readBytes / gigabyte) * egress }),
    },
    store,
    unpricedMs: hour === null ? Object.values(ms).reduce((sum, time = 0) => sum + time, 0) : 0,
    ...(currency !== null && { currency }),
  };
}

/** Keeping so many bytes for a month; null without a price. */
export const keptAt = (bytes: number, { storage }: Pick<Prices, 'storage'>): number | null =>
  storage === null ? null : (bytes / gigabyte) * storage;

/** `1.23 USD`: two digits behind the point, or as many as show three figures of what is less. */
export function money(amount: number, currency?: string | null): string {
  const digits = amount >= 1 || amount === 0 ? 2 : Math.min(8, 2 - Math.floor(Math.log10(amount)));
  return `${amount.toFixed(digits)}${currency ? ` ${currency}` : ''}`;
}

const names: Readonly<Record<CostPart, string>> = {
  trained: 'trained',
  repeated: 'repeated',
  preparing: 'preparing',
  committing: 'last uploads',
  scoring: 'scoring',
  evaluating: 'evaluation',
  requests: 'requests',
  egress: 'egress',
};

/** What was spent in words: `1.23 USD (trained 1.00, repeated 0.10, ...)`; null where no price was known. */
export function spentText(used: Used): string | null {
  if (Object.keys(used.cost).length === 0) return null;
  const parts = (Object.keys(names) as CostPart[]).flatMap((part) => {
    const cost = used.cost[part] ?? 0;
    return cost > 0 ? [`${names[part]} ${money(cost)}`] : [];
  });
  const lacking = used.unpricedMs > 0 ? `, and ${hours(used.unpricedMs)} of a device at no known price` : '';
  return `${money(costOf(used), used.currency)}${parts.length > 0 ? ` (${parts.join(', ')})` : ''}${lacking}`;
}

/** Device time in words: `0.52 h of a device (trained 90.1 %, preparing 9.9 %)`. */
export function deviceText(used: Used): string {
  const all = deviceMsIn(used);
  const parts = (Object.keys(names) as CostPart[]).flatMap((part) => {
    const ms = part in used.ms ? (used.ms[part as DevicePart] ?? 0) : 0;
    return ms > 0 ? [`${names[part]} ${((100 * ms) / all).toFixed(1)} %`] : [];
  });
  return `${hours(all)} of a device${parts.length > 0 ? ` (${parts.join(', ')})` : ''}`;
}

const hours = (ms: number) => `${(ms / hourMs).toFixed(ms < hourMs / 10 ? 4 : 2)} h`;
