import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { outsideServices } from '../../infra/services/outside.ts';
import { printEnvironment, storeEnvironment, temporalEnvironment } from '../../src/runtime/environment.ts';
import { credentialsFile, type ServicesState, stateFile, thisProcess } from '../../src/runtime/services-state.ts';

const folder = mkdtempSync(join(tmpdir(), 'siglip2-environment-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const credentials = { accessKeyId: 'KEY', secretAccessKey: "it's $HOME `no` secret" };
const state: ServicesState = {
  owner: thisProcess(),
  started: '2026-01-01T00:00:00.000Z',
  children: {},
  ports: {},
  temporal: { address: '127.0.0.1:7233', ui: 'http://127.0.0.1:8233', program: '/opt/it s/temporal' },
  s3: { endpoint: 'http://127.0.0.1:7480', bucket: 'siglip2', region: 'us-east-1' },
};

function stateOf(name: string, changes: Partial<ServicesState> = {}): NodeJS.ProcessEnv {
  const at = join(folder, name);
  mkdirSync(join(at, 's3'), { recursive: true });
  writeFileSync(stateFile(at), JSON.stringify({ ...state, ...changes }));
  writeFileSync(credentialsFile(at), JSON.stringify(credentials));
  return { SIGLIP2_STATE: at, TEMPORAL_CONFIG_FILE: join(at, 'none.toml') };
}

test('the services of a running npm run up are found', () => {
  const env = stateOf('running');
  expect(temporalEnvironment(env)).toMatchObject({
    address: '127.0.0.1:7233',
    namespace: 'default',
    source: 'npm run up',
  });
  const s3 = { endpoint: 'http://127.0.0.1:7480', bucket: 'siglip2', region: 'us-east-1', forcePathStyle: true };
  expect(storeEnvironment(env)).toEqual({ ...s3, credentials, source: 'npm run up' });
});

test('those of an up that has ended are not, and the store is never guessed', () => {
  const env = stateOf('ended', { owner: { ...thisProcess(), start: '1' } });
  expect(temporalEnvironment(env).source).toBe('default');
  expect(() => storeEnvironment(env)).toThrow('No object store is known: type npm run up');
});

test('the environment wins over npm run up, with TLS and keys as the Temporal CLI reads them', () => {
  const env = {
    ...stateOf('both'),
    TEMPORAL_ADDRESS: 'temporal.example.org:7233',
    TEMPORAL_NAMESPACE: 'lab.a1b2c',
    TEMPORAL_API_KEY: 'key',
    AWS_ENDPOINT_URL: 'https://all.example.org',
    AWS_ENDPOINT_URL_S3: 'https://s3.example.org',
    AWS_REGION: 'eu-north-1',
    SIGLIP2_BUCKET: 'lab',
  };
  const temporal = temporalEnvironment(env);
  expect(temporal).toMatchObject({
    address: 'temporal.example.org:7233',
    namespace: 'lab.a1b2c',
    source: 'environment',
  });
  expect(temporal.connectionOptions).toMatchObject({ apiKey: 'key', tls: true });
  expect(storeEnvironment(env)).toEqual({
    endpoint: 'https://s3.example.org',
    region: 'eu-north-1',
    bucket: 'lab',
    forcePathStyle: true,
    source: 'environment',
  });
  expect(storeEnvironment({ SIGLIP2_BUCKET: 'lab' })).toMatchObject({ bucket: 'lab', forcePathStyle: false });
});

test('a client certificate that cannot be read is named', () => {
  const env = { ...stateOf('tls'), TEMPORAL_ADDRESS: 'a:1', TEMPORAL_TLS_CLIENT_CERT_PATH: '/nowhere/client.pem' };
  expect(() => temporalEnvironment(env)).toThrow(/Temporal's settings can't be read \(.*client\.pem/);
});

test('the lines of siglip2 env survive a shell, whatever is in a key', () => {
  const lines = printEnvironment(stateOf('shell'));
  const script = `${lines}\nprintf '%s|%s|%s|%s' "$TEMPORAL_ADDRESS" "$AWS_SECRET_ACCESS_KEY" "\${AWS_PROFILE-none}" "$PATH"`;
  const env = { PATH: '/usr/bin:/bin', AWS_PROFILE: 'other' };
  expect(execFileSync('/bin/sh', ['-c', script], { env, encoding: 'utf8' })).toBe(
    `127.0.0.1:7233|${credentials.secretAccessKey}|none|/opt/it s:/usr/bin:/bin`,
  );
});

test('services named elsewhere are used and not started; what siglip2 env gave is not elsewhere', () => {
  expect(outsideServices({ TEMPORAL_ADDRESS: 'a:1', SIGLIP2_BUCKET: 'b' }, state)).toEqual({
    temporal: 'a:1',
    s3: 'AWS, bucket b',
  });
  const own = {
    TEMPORAL_ADDRESS: '127.0.0.1:7233',
    AWS_ENDPOINT_URL: 'http://127.0.0.1:7480',
    SIGLIP2_BUCKET: 'siglip2',
  };
  expect(outsideServices(own, state)).toEqual({});
  expect(outsideServices({}, null)).toEqual({});
});
