import { z } from 'zod';
import { parseWith, readDocument } from '../../checkpoint/documents.ts';
import { historyKey } from '../../checkpoint/keys.ts';
import { isUsed, type Used } from '../../costs/used.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { EventKind, ReportedEvent } from '../types.ts';

/** What a workflow told of a phase or of its run; without events where it told nothing, as up to release 0.1.0. */
export interface HistoryRead {
  readonly events: readonly ReportedEvent[];
  /** Milliseconds that its shards had a device for; null where nothing tells. */
  readonly deviceMs: number | null;
  /** What it used; null where nothing tells. */
  readonly used: Used | null;
  /** That it came to from where it began; null where nothing tells. */
  readonly steps: number | null;
}

const line = z.object({ at: z.iso.datetime(), step: z.int().min(0), what: z.string().max(5000) });
const document = z.object({
  version: z.literal(1),
  events: z.array(line).max(10_000),
  spent: z
    .object({
      deviceMs: z.number().min(0),
      began: z.number(),
      used: z.custom<Used>(isUsed).optional(),
      steps: z.int().optional(),
    })
    .optional(),
});

export async function readHistory(
  store: ObjectStore,
  at: { readonly run: string; readonly phase: string | null },
  problems: string[],
): Promise<HistoryRead> {
  const key = historyKey(at);
  const found = await readDocument(store, key);
  const parsed = found && 'bytes' in found ? parseWith(document, found.bytes) : found;
  if (parsed && 'value' in parsed && parsed.value)
    return {
      events: eventsIn(parsed.value.events),
      deviceMs: parsed.value.spent?.deviceMs ?? null,
      used: parsed.value.spent?.used ?? null,
      steps: parsed.value.spent?.steps ?? null,
    };
  if (parsed && 'problem' in parsed) problems.push(`${key}: ${parsed.problem}`);
  return { events: [], deviceMs: null, used: null, steps: null };
}

const going = /^(planning|scoring|training|evaluating|exporting|done)$/;
const kinds: readonly (readonly [RegExp, EventKind])[] = [
  [/^(paused|limit|stopped)\b/, 'paused'],
  [/\battempt \d+\b/, 'retry'],
  [/^recovering\b|\bgoes back to\b/, 'back'],
  [/^(waiting|failed|not )/, 'failed'],
  [/^asked for: |^limits |^leaves out |^extended | -> /, 'changed'],
];

/** States that say nothing new are left out: each shard tells that its phase trains. */
function eventsIn(lines: readonly z.infer<typeof line>[]): ReportedEvent[] {
  let stood = false;
  return lines.flatMap(({ at, step, what }): ReportedEvent[] => {
    const time = Date.parse(at);
    if (going.test(what)) {
      const text = what === 'done' || !stood ? null : `goes on: ${what}, at step ${step}`;
      stood = false;
      return text === null ? [] : [{ time, text, kind: 'note' }];
    }
    const kind = kinds.find(([pattern]) => pattern.test(what))?.[1] ?? 'note';
    stood ||= kind === 'paused' || kind === 'failed' || what.startsWith('recovering');
    return [{ time, text: `${what}, at step ${step}`, kind }];
  });
}
