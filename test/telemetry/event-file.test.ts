import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { maskedCrc32c } from '../../src/telemetry/crc32c.ts';
import { eventFile } from '../../src/telemetry/event-file.ts';

it('event files are byte for byte those that TensorFlow writes', () => {
  const ours = eventFile.encode([
    { step: 100, time: 1_700_000_000_250, values: { loss: 5.5, 'loss/sigmoid': 2.25 } },
    { step: 300_000_000_000, time: 1_700_000_001_500, values: { loss: -0.1, examplesPerSecond: 1234.5 } },
  ]);
  const theirs = readFileSync(new URL('fixtures/events.bin', import.meta.url));
  expect(Buffer.from(ours).toString('hex')).toBe(theirs.toString('hex'));
});

it('CRC-32C has the check value of its definition', () => {
  // 0xe3069283 for "123456789" (RFC 3720, B.4), masked.
  const crc = 0xe3069283;
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  expect(maskedCrc32c(Buffer.from('123456789'))).toBe(masked);
});
