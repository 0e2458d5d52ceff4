import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import type { TrainerLog } from '../../src/trainer/child.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { startServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { type Hands, hands } from './fixture.ts';

/** There while the tests of a file run. */
export interface RealTrainer {
  readonly store: S3ObjectStore;
  readonly on: Hands;
  readonly trainer: TrainerProcess;
  /** In which a loader finds the store. */
  readonly env: NodeJS.ProcessEnv;
}

const quiet: TrainerLog = { info() {}, warn() {} };

/** A real trainer, a real store with six emoji of each style, and a worker's hands: to be asked for within tests alone. */
export function realTrainer(log = quiet): () => RealTrainer {
  let there: RealTrainer;
  let end = async () => {};
  beforeAll(async () => {
    const server = await startServer();
    const store = server.store();
    const on = hands();
    await drawnEmoji(store, { concepts: 6 });
    const env = { ...process.env, ...server.environment };
    const trainer = createTrainerProcess({ lockFile: join(on.folder, 'real.lock'), log, env });
    there = { store, on, trainer, env };
    end = async () => {
      await trainer.close();
      await on.close();
      await server.stop();
    };
  });
  afterAll(() => end());
  return () => there;
}
