import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { type ThreadError, toThreadError } from '../../runtime/thread-error.ts';
import type { CorruptMember } from '../index/types.ts';
import type { SameRows } from './alike.ts';
import type { PartValues } from './batch-part.ts';
import type { ExampleRef } from './order.ts';
import type { Batch, Drawn } from './types.ts';

/** An example that can't be read. */
export interface MetBroken {
  readonly ref: ExampleRef;
  readonly corrupt: CorruptMember;
}

/** Rows of a batch that follow one another, with what is to be known before they are trained on. It can be sent to another thread. */
export interface Strip extends Omit<Batch, 'alike'> {
  /** In the order of the rows. */
  readonly broken: readonly MetBroken[];
  readonly same: SameRows;
  /** What is wrong with the data of a row: then there are no rows, and `broken` are those up to it. */
  readonly failure?: ThreadError;
}

/** Rows whose texts are not turned into tokens yet. */
export interface UntoldStrip extends Omit<Strip, 'tokens' | 'same'> {
  readonly untold: { readonly texts: readonly string[]; readonly same: Omit<SameRows, 'tokens'> };
}

/** Makes rows, of which several may be asked for at a time. */
export interface RowMaker {
  /** How many rows of a piece of `count` it wants to be asked for together. */
  rowsAtOnce(plan: BatchPlan, count: number, length: number | null): number;
  strip(batch: number, from: number, count: number): Promise<UntoldStrip>;
}

export function failedStrip(batch: number, broken: readonly MetBroken[], error: unknown): UntoldStrip {
  const none = { images: new Uint8Array(0), parts: {}, skipped: [] };
  const untold = { texts: [], same: { picture: null, captions: null } };
  return { index: batch, ...none, broken, untold, failure: toThreadError(error) };
}

/** Strips that follow one another, as one. */
export function joinedStrips(strips: readonly Strip[]): Strip {
  const [first] = strips as [Strip];
  const broken = strips.flatMap((strip) => strip.broken);
  const failed = strips.findIndex(({ failure }) => failure !== undefined);
  if (failed >= 0) return { ...strips[failed]!, broken: strips.slice(0, failed + 1).flatMap((strip) => strip.broken) };
  if (strips.length === 1) return first;
  const own = <K extends keyof Strip>(name: K) => strips.flatMap((strip) => (strip[name] ?? []) as []);
  const same = (of: keyof SameRows) =>
    strips.every((strip) => strip.same[of] === first.same[of]) ? first.same[of] : null;
  return {
    ...first,
    images: joined(strips.map(({ images }) => images)),
    tokens: joined(strips.map(({ tokens }) => tokens)),
    parts: Object.fromEntries(
      Object.keys(first.parts).map((name) => [name, joined(strips.map(({ parts }) => parts[name]!))]),
    ),
    skipped: own('skipped'),
    broken,
    same: { picture: same('picture'), captions: same('captions'), tokens: same('tokens') },
    ...(first.filtered !== undefined && { filtered: strips.reduce((sum, { filtered = 0 }) => sum + filtered, 0) }),
    ...(strips.at(-1)!.epochs && { epochs: strips.at(-1)!.epochs! }),
    ...(first.described && { described: own('described') }),
    ...(first.drawn && { drawn: sumOf(strips.map(({ drawn }) => drawn!)) }),
  };
}

function joined<T extends PartValues>(parts: readonly T[]): T {
  const make = parts[0]!.constructor as new (length: number) => T;
  const all = new make(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** In the order in which names are first met, as one strip of all rows has them. */
function sumOf(all: readonly Drawn[]): Drawn {
  const add = (counts: readonly Readonly<Record<string, number>>[]) => {
    const sum = new Map<string, number>();
    for (const count of counts) for (const [name, n] of Object.entries(count)) sum.set(name, (sum.get(name) ?? 0) + n);
    return Object.fromEntries(sum);
  };
  return { sources: add(all.map(({ sources }) => sources)), languages: add(all.map(({ languages }) => languages)) };
}
