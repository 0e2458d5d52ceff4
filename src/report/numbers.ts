import { isCount as counts, isShare as isNamedAsShare } from '../evaluate/figure-kind.ts';

/** What a model that knows nothing has: it says more of the data than of the model. */
const constant = /(^|\.)(chance|chance_r1|times_chance|constant_mIoU|constant_aAcc)$/;

/** Counts, and what says more of the data than of the model. */
export const isCount = (name: string): boolean => counts(name) || constant.test(name);

const minus = '\u2212';
const signed = (text: string) => text.replace('-', minus);

/** Four digits, without what floating point adds; small numbers, such as learning rates, with a power of ten. */
export const brief = (value: number): string =>
  signed(
    Math.abs(value) < 1e-4 && value !== 0
      ? String(Number(value.toPrecision(3)).toExponential())
      : String(Number(value.toPrecision(4))),
  );

/** A figure for people: shares as percent. */
export const figureText = (name: string, value: number): string =>
  isShare(name, value) ? `${signed((100 * value).toFixed(1))} %` : brief(value);

/** A difference of two figures, in points where they are shares. */
export function differenceText(difference: number, share: boolean): string {
  const size = share ? (100 * Math.abs(difference)).toFixed(1) : brief(Math.abs(difference));
  return `${difference < 0 ? minus : '+'}${size}`;
}

export const isShare = (name: string, value: number): boolean => isNamedAsShare(name) && value >= -1 && value <= 1;

/** 2026-11-27 01:30:42, in UTC. */
export const timeText = (ms: number): string =>
  Number.isFinite(ms) && Math.abs(ms) < 8e15 ? new Date(ms).toISOString().slice(0, 19).replace('T', ' ') : 'no time';

/** 3 h 20 min, 5 min 12 s, 8 s. */
export function spanText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** 168.0 MB, 2.0 GB. */
export const byteText = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
