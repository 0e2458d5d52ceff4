import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { objectStoreFromEnvironment } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from './versitygw.ts';

/**
 * Credentials as clouds hand them out, each by the service that does so, played by a server on loopback. The store that they open
 * is a real one, whose keys are those.
 */
let server: TestServer;
let cloud: Server;
let at: string;
const asked: string[] = [];
const folder = mkdtempSync(join(tmpdir(), 'siglip2-credentials-'));
const later = new Date(Date.now() + 3_600_000).toISOString();

beforeAll(async () => {
  server = await startServer();
  const { accessKeyId, secretAccessKey } = server.settings.credentials as {
    accessKeyId: string;
    secretAccessKey: string;
  };
  const plain = { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Expiration: later };
  const sts = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken></SessionToken><Expiration>${later}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
  cloud = createServer(async (request, answer) => {
    let body = '';
    for await (const part of request) body += part;
    asked.push(`${request.method} ${request.url} ${body}`);
    const { url = '' } = request;
    if (url === '/latest/api/token') return answer.end('a-token-of-the-instance');
    if (url === '/latest/meta-data/iam/security-credentials/') return answer.end('role');
    if (url === '/latest/meta-data/iam/security-credentials/role')
      return answer.end(JSON.stringify({ Code: 'Success', ...plain, Token: '' }));
    if (url === '/container') return answer.end(JSON.stringify({ ...plain, Token: '' }));
    if (url.startsWith('/federation/credentials'))
      return answer.setHeader('content-type', 'application/json').end(
        JSON.stringify({
          roleCredentials: {
            accessKeyId,
            secretAccessKey,
            sessionToken: 'of-the-session',
            expiration: Date.parse(later),
          },
        }),
      );
    if (body.includes('Action=AssumeRoleWithWebIdentity')) return answer.setHeader('content-type', 'text/xml').end(sts);
    answer.statusCode = 404;
    answer.end();
  });
  await new Promise<void>((resolve) => cloud.listen(0, '127.0.0.1', resolve));
  at = `http://127.0.0.1:${(cloud.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await server.stop();
  cloud.closeAllConnections();
  cloud.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  vi.unstubAllEnvs();
  asked.length = 0;
});

/** An environment without keys, but with `more`. */
function be(more: Record<string, string>): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
  const home = {
    HOME: folder,
    AWS_CONFIG_FILE: join(folder, 'none'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none'),
  };
  const store = { AWS_ENDPOINT_URL_S3: server.endpoint, SIGLIP2_BUCKET: 'test', AWS_REGION: 'us-east-1' };
  for (const [name, value] of Object.entries({ ...home, ...store, ...more })) vi.stubEnv(name, value);
}

/** What the store says to who has no keys, but `more`. */
async function reads(more: Record<string, string>): Promise<string> {
  be(more);
  const opened = objectStoreFromEnvironment();
  try {
    await opened.put('object', 'read with borrowed keys');
    return String(await opened.get('object'));
  } finally {
    opened.close();
  }
}

describe('the store is opened with', () => {
  it('the role of an instance (IMDS)', async () => {
    expect(await reads({ AWS_EC2_METADATA_SERVICE_ENDPOINT: at })).toBe('read with borrowed keys');
    expect(asked).toContain('GET /latest/meta-data/iam/security-credentials/role ');
  });

  it('the credentials of a container', async () => {
    expect(await reads({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${at}/container` })).toBe('read with borrowed keys');
    expect(asked).toEqual(['GET /container ']);
  });

  it('the web identity of a service account, as in Kubernetes', async () => {
    const token = join(folder, 'token');
    writeFileSync(token, 'a-token-of-the-service-account');
    const identity = { AWS_WEB_IDENTITY_TOKEN_FILE: token, AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/trainer' };
    expect(await reads({ ...identity, AWS_ENDPOINT_URL_STS: at })).toBe('read with borrowed keys');
    expect(asked.join('\n')).toContain('WebIdentityToken=a-token-of-the-service-account');
  });

  it('single sign-on, once its login is there', async () => {
    const config = join(folder, 'config');
    const session = 'https://lab.example.org/start';
    const lines = [
      '[profile lab]',
      `sso_start_url = ${session}`,
      'sso_region = us-east-1',
      'sso_account_id = 123456789012',
    ];
    writeFileSync(config, [...lines, 'sso_role_name = trainer', 'region = us-east-1', ''].join('\n'));
    mkdirSync(join(folder, '.aws', 'sso', 'cache'), { recursive: true });
    const cache = join(folder, '.aws', 'sso', 'cache', `${createHash('sha1').update(session).digest('hex')}.json`);
    writeFileSync(
      cache,
      JSON.stringify({ startUrl: session, region: 'us-east-1', accessToken: 'logged-in', expiresAt: later }),
    );
    const named = { AWS_PROFILE: 'lab', AWS_CONFIG_FILE: config, AWS_ENDPOINT_URL_SSO: at };
    be(named);
    const opened = objectStoreFromEnvironment();
    // This store takes no tokens of sessions, and these credentials always have one.
    expect(await opened.client.config.credentials()).toMatchObject({ sessionToken: 'of-the-session' });
    opened.close();
    expect(asked.join('\n')).toContain('/federation/credentials');
  });

  it('a program that a profile names', async () => {
    const { accessKeyId, secretAccessKey } = server.settings.credentials as {
      accessKeyId: string;
      secretAccessKey: string;
    };
    const said = join(folder, 'said.json');
    writeFileSync(said, JSON.stringify({ Version: 1, AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey }));
    const config = join(folder, 'process-config');
    writeFileSync(config, `[profile lab]\ncredential_process = cat ${said}\nregion = us-east-1\n`);
    expect(await reads({ AWS_PROFILE: 'lab', AWS_CONFIG_FILE: config })).toBe('read with borrowed keys');
  });

  it('none where there are none: one sentence', async () => {
    await expect(reads({ AWS_EC2_METADATA_DISABLED: 'true' })).rejects.toThrow(
      /^no credentials for s3:\/\/test\/object at http:\/\/127.0.0.1:\d+; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE$/,
    );
  });
});
