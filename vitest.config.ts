import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/**
 * Folders whose tests leave nothing behind in their process: no variable of the environment, no Temporal runtime, no
 * hook or open file in a module that several of them import. Their files share processes, which load TensorFlow and our
 * modules once instead of once a file. A folder comes in here once all of it was run so.
 */
const tidy =
  /^test\/(recipe|plan|model|objectives|safetensors|telemetry|metrics|evaluate|parity|curation|packing|data\/(index|near|views|stats|example)|checkpoint\/hugging-face)\//;
/** What is mocked or set stays so in its process. */
const leaves = /\bvi\.(mock|doMock|stubEnv|stubGlobal)\(|Object\.assign\(process\.env/;

const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((file) => join('test', file))
  .filter((file) => file.endsWith('.test.ts'));
const together = files.filter((file) => tidy.test(file) && !leaves.test(readFileSync(file, 'utf8')));
const shared = { pool: 'forks', testTimeout: 120_000, hookTimeout: 120_000 } as const;

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // Real libtensorflow, Temporal and S3 servers: half of the time a file waits for them, so two share two cores.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      { test: { ...shared, name: 'alone', include: ['test/**/*.test.ts'], exclude: together, isolate: true } },
      { test: { ...shared, name: 'together', include: together, isolate: false } },
    ],
  },
});
