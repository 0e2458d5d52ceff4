import { bucketChecks } from './bucket.ts';
import type { Check } from './check.ts';
import { checksumChecks } from './checksums.ts';
import { conditionChecks } from './conditions.ts';
import { copyChecks } from './copies.ts';
import { keyChecks } from './keys.ts';
import { listChecks } from './lists.ts';
import { objectChecks } from './objects.ts';
import { partChecks } from './parts.ts';
import { rangeChecks } from './ranges.ts';

/** What a run asks of a store, one by one: for `siglip2 check-store`, and for the test of the server that we bring. */
export const checks: readonly Check[] = [
  ...objectChecks,
  ...rangeChecks,
  ...keyChecks,
  ...conditionChecks,
  ...partChecks,
  ...copyChecks,
  ...listChecks,
  ...checksumChecks,
  ...bucketChecks,
];
