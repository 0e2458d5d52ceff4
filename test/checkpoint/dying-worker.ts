import { type CheckpointToCommit, commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import type { S3Settings } from '../../src/storage/s3-client.ts';

/** A worker of its own that commits a snapshot and is killed, as by kill -9, at a named point of the protocol. */
export interface DyingOrder {
  readonly settings: S3Settings;
  readonly checkpoint: CheckpointToCommit;
  /** `upload`: while the parts of the first file are on their way. */
  readonly at: 'upload' | 'objects' | 'manifest' | 'commit' | 'hint';
}

const { settings, checkpoint, at }: DyingOrder = JSON.parse(process.argv[2]!);
const die = () => process.kill(process.pid, 'SIGKILL');
const store = new S3ObjectStore(settings);
store.client.middlewareStack.add(
  (next) => async (args) => {
    const answer = await next(args);
    if (at === 'upload' && (args.input as { PartNumber?: number }).PartNumber === 2) die();
    return answer;
  },
  { step: 'initialize' },
);
await commitCheckpoint(store, checkpoint, {
  onPoint: (point) => {
    if (point === at) die();
  },
});
