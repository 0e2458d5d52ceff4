import type { MetricFormat } from './metric-record.ts';

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
