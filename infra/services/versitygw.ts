import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { credentialsFile, readCredentials, type StoreCredentials } from '../../src/runtime/services-state.ts';
import { variable } from '../../src/runtime/variables.ts';
import { ensureBucket } from './bucket.ts';
import { logFile } from './logs.ts';
import type { ServiceCommand } from './service.ts';

export const region = 'us-east-1';

// The SDK is pinned to a version that runs on every Node that this project takes; the warning would be noise.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

/** The keys of the store in `folder`, made once; only their owner can read the file. */
export function ensureCredentials(folder: string): StoreCredentials {
  mkdirSync(join(folder, 's3'), { recursive: true, mode: 0o700 });
  const file = credentialsFile(folder);
  const there = readCredentials(folder);
  if (there) {
    chmodSync(file, 0o600);
    return there;
  }
  const credentials = {
    accessKeyId: `SIGLIP${randomBytes(7).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64url'),
  };
  writeFileSync(file, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
  return credentials;
}

/**
 * An S3 server over plain files: an object is a file of that name under `s3/root/<bucket>`. It does not fsync, so a
 * power failure (not a crash of the process) can lose what it acknowledged last.
 */
export function versitygwCommand(options: {
  readonly folder: string;
  readonly program: string;
  readonly port: number;
  readonly bucket: string;
}): ServiceCommand {
  const { folder, program, port, bucket } = options;
  const data = join(folder, 's3');
  const credentials = ensureCredentials(folder);
  for (const name of ['root', 'iam']) mkdirSync(join(data, name), { recursive: true, mode: 0o700 });
  const endpoint = `http://127.0.0.1:${port}`;
  const log = logFile(folder, 's3');
  return {
    name: 's3',
    file: program,
    args: () => [
      ...['--port', `127.0.0.1:${port}`, '--region', region, '--quiet', '--keep-alive'],
      ...['--health', '/healthz'],
      ...['--iam-dir', join(data, 'iam'), 'posix', ...sidecar(data, log), join(data, 'root')],
    ],
    // In the environment, not among the arguments, which every user of the machine can list.
    env: {
      PATH: variable('PATH'),
      ROOT_ACCESS_KEY_ID: credentials.accessKeyId,
      ROOT_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    log,
    startMs: 30_000,
    stopMs: 10_000,
    ready: async () => (await fetch(`${endpoint}/healthz`, { signal: AbortSignal.timeout(1_000) })).ok,
    prepare: () => prepareBucket(endpoint, bucket, credentials),
  };
}

/**
 * Metadata goes into extended attributes, or into files beside the objects where the file system has none. Only
 * versitygw can tell: it ends with this sentence, and is started again.
 */
function sidecar(data: string, log: string): string[] {
  const folder = join(data, 'sidecar');
  if (!existsSync(folder)) {
    const said = existsSync(log) ? readFileSync(log, 'utf8').slice(-200) : '';
    if (!said.includes('xattrs are not supported')) return [];
    mkdirSync(folder, { mode: 0o700 });
  }
  return ['--sidecar', folder];
}

async function prepareBucket(endpoint: string, bucket: string, credentials: StoreCredentials): Promise<void> {
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  try {
    await ensureBucket(client, bucket);
  } finally {
    client.destroy();
  }
}
