import protobuf from 'protobufjs/minimal.js';
import { maskedCrc32c } from './crc32c.ts';
import type { MetricFormat, MetricRecord } from './metric-record.ts';

/**
 * TensorBoard's event files: TFRecords of `tensorflow.Event` (tensorflow/core/util/event.proto, lib/io/record_writer.cc).
 * TensorBoard reads all event files of a folder in the order of their names, so pieces make one curve.
 */
export const eventFile: MetricFormat = {
  fileName: (piece) => `events.out.tfevents.${piece}`,
  encode: (records) => {
    const version = protobuf.Writer.create()
      .uint32(tag(1, double))
      .double(seconds(records[0]))
      .uint32(tag(3, bytes))
      .string('brain.Event:2');
    return Buffer.concat([version.finish(), ...records.map(encodeEvent)].map(framed));
  },
};

const double = 1;
const bytes = 2;
const tag = (field: number, wire: number) => (field << 3) | wire;
const seconds = (record: MetricRecord | undefined) => (record?.time ?? 0) / 1000;

/** Event: wall_time = 1, step = 2, summary = 5; Summary.value = 1; Value: tag = 1, simple_value = 2. */
function encodeEvent(record: MetricRecord): Uint8Array {
  const event = protobuf.Writer.create().uint32(tag(1, double)).double(seconds(record));
  event.uint32(tag(2, 0)).int64(record.step).uint32(tag(5, bytes)).fork();
  for (const [name, value] of Object.entries(record.values))
    event.uint32(tag(1, bytes)).fork().uint32(tag(1, bytes)).string(name).uint32(tag(2, 5)).float(value).ldelim();
  return event.ldelim().finish();
}

/** Length and data, each with its checksum. */
function framed(data: Uint8Array): Buffer {
  const frame = Buffer.alloc(data.length + 16);
  frame.writeBigUInt64LE(BigInt(data.length), 0);
  frame.writeUInt32LE(maskedCrc32c(frame.subarray(0, 8)), 8);
  frame.set(data, 12);
  frame.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return frame;
}
