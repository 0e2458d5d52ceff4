import { dirname } from 'node:path';
import { type ClientConnectConfig, loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import { RunnerError } from './errors.ts';
import { paths } from './paths.ts';
import { readCredentials, runningState, type StoreCredentials } from './services-state.ts';
import { variable } from './variables.ts';

/** Where something was read from; the doctor shows it. */
export type Source = 'environment' | 'npm run up' | 'default';

export interface TemporalEnvironment {
  readonly address: string;
  readonly namespace: string;
  /** Address, TLS, API key and headers, as `Connection.connect` and `NativeConnection.connect` take them. */
  readonly connectionOptions: Pick<ClientConnectConfig['connectionOptions'], 'address' | 'tls' | 'apiKey' | 'metadata'>;
  readonly source: Source;
}

/** As `S3ObjectStore` takes it. */
export interface StoreEnvironment {
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  readonly forcePathStyle: boolean;
  /** Only those of the store of `npm run up`; otherwise the AWS SDK's own chain finds them. */
  readonly credentials?: StoreCredentials;
  readonly source: Source;
}

export interface ServiceEnvironment {
  readonly temporal: TemporalEnvironment;
  readonly s3: StoreEnvironment;
}

/** An empty variable of Temporal's is as good as none, but in envconfig an empty key turns TLS on. */
const definite = (env: NodeJS.ProcessEnv) =>
  Object.fromEntries(
    Object.entries(env).filter(
      (pair): pair is [string, string] =>
        pair[1] !== undefined && (pair[1] !== '' || !/^TEMPORAL_(?!GRPC_META_)/.test(pair[0])),
    ),
  );

/**
 * Temporal by the variables and the configuration file that the Temporal CLI reads (`TEMPORAL_ADDRESS`,
 * `TEMPORAL_API_KEY`, `TEMPORAL_TLS_*`, `TEMPORAL_PROFILE` ...), else that of a running `npm run up`, else the port
 * that a Temporal on this machine usually has.
 */
export function temporalEnvironment(env: NodeJS.ProcessEnv = process.env): TemporalEnvironment {
  const { connectionOptions, namespace } = readTemporalConfig(env);
  const { address: given, tls, apiKey, metadata } = connectionOptions;
  if (given && !/^(\[[\da-f:.]+\]|[^\s:/@]+)(:\d{1,5})?$/i.test(given))
    throw new RunnerError(
      'SetupMissing',
      `TEMPORAL_ADDRESS is ${JSON.stringify(withoutUser(given))}; allowed: HOST:PORT, such as 127.0.0.1:7233`,
    );
  const own = given ? undefined : runningState(paths(env).state)?.temporal?.address;
  const address = given ?? own ?? '127.0.0.1:7233';
  return {
    address,
    namespace: namespace || 'default',
    connectionOptions: {
      address,
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(metadata === undefined ? {} : { metadata }),
    },
    source: given ? 'environment' : own ? 'npm run up' : 'default',
  };
}

const withoutUser = (address: string) => address.replace(/^(\w+:\/\/)?[^@]*@/, '$1').slice(0, 100);

function readTemporalConfig(env: NodeJS.ProcessEnv): ClientConnectConfig {
  try {
    const profile = loadClientConfigProfile({ overrideEnvVars: definite(env) });
    const options = toClientOptions(profile);
    const { clientCert, clientKey, disabled } = profile.tls ?? {};
    // Half of a pair would be dropped without a word.
    if (!disabled && (clientCert === undefined) !== (clientKey === undefined)) {
      const [has, lacks] = clientCert ? ['certificate', 'KEY'] : ['key', 'CERT'];
      throw new Error(`a client ${has} alone is no pair: set TEMPORAL_TLS_CLIENT_${lacks}_PATH as well`);
    }
    if (/^(1|true)$/.test(variable('TEMPORAL_TLS_DISABLE_HOST_VERIFICATION', env) ?? ''))
      throw new Error(
        'TEMPORAL_TLS_DISABLE_HOST_VERIFICATION is not heeded here: set TEMPORAL_TLS_SERVER_CA_CERT_PATH instead',
      );
    return options;
  } catch (cause) {
    throw new RunnerError(
      'SetupMissing',
      `Temporal's settings can't be read (${(cause as Error).message}); look at TEMPORAL_* in the environment and at TEMPORAL_CONFIG_FILE`,
      { cause },
    );
  }
}

/** Address of the S3 server that this environment names; undefined for none, or for AWS itself. */
export function storeEndpoint(env: NodeJS.ProcessEnv): string | undefined {
  return variable('AWS_ENDPOINT_URL_S3', env) || variable('AWS_ENDPOINT_URL', env);
}

/**
 * The store by `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, by `SIGLIP2_BUCKET` alone for AWS itself, else that of a
 * running `npm run up`; without any of them an error, since nobody's bucket should be guessed.
 */
export function storeEnvironment(env: NodeJS.ProcessEnv = process.env): StoreEnvironment {
  const region = variable('AWS_REGION', env) || variable('AWS_DEFAULT_REGION', env) || 'us-east-1';
  const endpoint = storeEndpoint(env);
  const named = variable('SIGLIP2_BUCKET', env);
  if (endpoint || named) {
    const bucket = named || 'siglip2';
    const where = endpoint ? { endpoint, forcePathStyle: true } : { forcePathStyle: false };
    return { ...where, region, bucket, source: 'environment' };
  }
  const folder = paths(env).state;
  const own = runningState(folder)?.s3;
  const credentials = readCredentials(folder);
  if (own && credentials) return { ...own, forcePathStyle: true, credentials, source: 'npm run up' };
  throw new RunnerError(
    'SetupMissing',
    'No object store is known: type npm run up for one on this machine, or set AWS_ENDPOINT_URL (a server) or SIGLIP2_BUCKET (AWS)',
  );
}

/** Where Prometheus may ask: `SIGLIP2_METRICS`, a port (on loopback) or ADDRESS:PORT; null for nowhere. */
export function metricsAddress(env: NodeJS.ProcessEnv = process.env): string | null {
  const given = variable('SIGLIP2_METRICS', env);
  if (!given) return null;
  const [, host = '127.0.0.1', port] = /^(?:([^\s:]+|\[[^\s\]]+\]):)?(\d{1,5})$/.exec(given) ?? [];
  if (port !== undefined && Number(port) > 0 && Number(port) < 65_536) return `${host}:${port}`;
  throw new RunnerError(
    'SetupMissing',
    `SIGLIP2_METRICS is ${JSON.stringify(given.slice(0, 100))}; allowed: a port, which listens on loopback, or ADDRESS:PORT`,
  );
}

/** Both services as this environment names them. */
export function serviceEnvironment(env: NodeJS.ProcessEnv = process.env): ServiceEnvironment {
  return { temporal: temporalEnvironment(env), s3: storeEnvironment(env) };
}

/** The same as variables, for a child process or a shell: what the AWS tools and the Temporal CLI read. */
export function environmentVariables(services: ServiceEnvironment): Record<string, string> {
  const { temporal, s3 } = services;
  return {
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    ...(s3.endpoint === undefined ? {} : { AWS_ENDPOINT_URL: s3.endpoint }),
    AWS_REGION: s3.region,
    ...(s3.credentials === undefined
      ? {}
      : { AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey }),
    SIGLIP2_BUCKET: s3.bucket,
  };
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** Lines for `eval "$(npm run -s siglip2 -- env)"`: the services, and the provisioned `temporal` on PATH. */
export function printEnvironment(env: NodeJS.ProcessEnv = process.env): string {
  const services = serviceEnvironment(env);
  const program = runningState(paths(env).state)?.temporal?.program;
  const lines = Object.entries(environmentVariables(services)).map(([name, value]) => `export ${name}=${quote(value)}`);
  // A profile or a session of other keys would win over these, or spoil them.
  if (services.s3.credentials) lines.unshift('unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL_S3');
  if (program) lines.push(`export PATH=${quote(dirname(program))}:"$PATH"`);
  return `${lines.join('\n')}\n`;
}
