import type { Rate } from './budget.ts';

/** When a segment is closed, and what may be said. */
export interface LogLimits {
  /** A segment becomes an object so many milliseconds after its first line, */
  readonly everyMs: number;
  /** or after so many bytes; */
  readonly segmentBytes: number;
  /** when an activity ends, after these many milliseconds, if the one before is this old. */
  readonly endedMs: number;
  readonly betweenMs: number;
  /** What worker and trainer may say, each for itself: neither drowns the other. */
  readonly worker: Rate;
  readonly trainer: Rate;
  /** What may wait on the disk while the bucket takes nothing, of all places together. */
  readonly waitingBytes: number;
  /** An upload that failed is tried again after so many milliseconds, then twice as many, up to a minute. */
  readonly retryMs: number;
  /** How often the journals of others are looked at. */
  readonly lookMs: number;
}

/**
 * 3 kB a second at most are 260 MB a day, and an object every ten seconds 8,640 requests, which cost 0.05 dollars on AWS.
 * Training says a line or two at each checkpoint: some 1,500 requests and half a megabyte a day.
 */
export const usualLimits: LogLimits = {
  everyMs: 10_000,
  segmentBytes: 256_000,
  endedMs: 1000,
  betweenMs: 5000,
  worker: { burst: 512_000, bytesPerSecond: 2000 },
  trainer: { burst: 512_000, bytesPerSecond: 1000 },
  waitingBytes: 32_000_000,
  retryMs: 5000,
  lookMs: 60_000,
};
