import type { MetricFormat, MetricRecord } from './metric-record.ts';

/** A line of JSON for each record: `{"step": 400, "time": "...", "loss": 5.2, ...}`. */
export const jsonLines: MetricFormat = {
  fileName: (piece) => `${piece}.jsonl`,
  encode: (records) =>
    Buffer.from(
      records
        .map(({ step, time, values }) => `${JSON.stringify({ step, time: new Date(time).toISOString(), ...values })}\n`)
        .join(''),
    ),
};

/** The records of a file that `jsonLines` wrote; lines that are none are left out. */
export function readJsonLines(bytes: Uint8Array): MetricRecord[] {
  return new TextDecoder()
    .decode(bytes)
    .split('\n')
    .flatMap((line) => recordOf(line) ?? []);
}

function recordOf(line: string): MetricRecord | null {
  try {
    const { step, time, ...rest } = JSON.parse(line) as Record<string, unknown>;
    const at = Date.parse(String(time));
    if (!Number.isSafeInteger(step) || Number.isNaN(at)) return null;
    const numbers = Object.entries(rest).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
    return { step: step as number, time: at, values: Object.fromEntries(numbers) };
  } catch {
    return null;
  }
}
