import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Runtime } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { hasPoller } from '../../infra/services/temporal.ts';
import { connect } from '../../src/commands/temporal-client.ts';
import { connectPatiently } from '../../src/runtime/connect.ts';
import { exitCodes } from '../../src/runtime/exit-codes.ts';
import { watchRefusals } from '../../src/runtime/watch-refusals.ts';
import { answerOf } from '../support/answer-of.ts';
import { type Authority, makeAuthority, type Pair } from '../support/certificates.ts';
import { testServices } from '../support/services.ts';
import { cliStart, workerStart } from '../support/start.ts';
import { type Gate, startGuard, startStrictGate, startTlsGate } from '../support/temporal-gate.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const services = testServices({ only: ['temporal'] });
const folder = mkdtempSync(join(tmpdir(), 'siglip2-refusals-'));
let authority: Authority;
let stranger: Authority;
let server: Pair;
let client: Pair;
let mutual: Gate;
let keyed: Gate;
const gates: Gate[] = [];
const key = 'a-key-of-Temporal-Cloud';
/** Set while that key is revoked. */
let revoked = false;
/** What the guard has seen of calls that it let through. */
const namespaces = new Set<string>();

beforeAll(async () => {
  authority = makeAuthority(join(folder, 'ours'), 'ours');
  stranger = makeAuthority(join(folder, 'theirs'), 'theirs');
  server = authority.issue('server');
  client = authority.issue('client');
  const target = services().temporal!.address;
  mutual = await startTlsGate(target, server, authority.cert);
  keyed = await startGuard(
    target,
    (headers) => {
      if (revoked || headers.authorization !== `Bearer ${key}`) return { code: 16, words: 'Request unauthorized.' };
      if (typeof headers['temporal-namespace'] === 'string') namespaces.add(headers['temporal-namespace']);
      return null;
    },
    server,
  );
  gates.push(mutual, keyed);
  Runtime.install({ shutdownSignals: [], telemetryOptions: { logging: { forward: {}, filter: 'OFF' } } });
});
afterAll(async () => {
  for (const gate of gates) await gate.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => vi.unstubAllEnvs());

/** The environment of one who reaches `port` so; what it leaves out is not set. */
function environment(port: number, more: Record<string, string | undefined> = {}): Record<string, string> {
  const all = { TEMPORAL_ADDRESS: `127.0.0.1:${port}`, TEMPORAL_CONFIG_FILE: join(folder, 'none.toml'), ...more };
  return Object.fromEntries(Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined));
}

function as(env: Record<string, string>): void {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
}

const withPair = (pair: Pair) => ({
  TEMPORAL_TLS_CLIENT_CERT_PATH: pair.cert,
  TEMPORAL_TLS_CLIENT_KEY_PATH: pair.key,
});
const trusting = () => ({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: authority.cert });

/** What a command and what a worker say, each within seconds. */
async function sentences(env: Record<string, string>): Promise<{ command: string; worker: string }> {
  as(env);
  const began = Date.now();
  const command = await connect().then(
    () => 'connected',
    (error: Error) => error.message,
  );
  const worker = await connectPatiently(AbortSignal.timeout(20_000), { newNamespaceMs: 1000 }).then(
    async (connected) => {
      await connected?.connection.close();
      return connected ? 'connected' : 'waited';
    },
    (error: Error) => error.message,
  );
  expect(Date.now() - began).toBeLessThan(19_000);
  const port = /:\d+$/.exec(env.TEMPORAL_ADDRESS!)![0];
  const plain = (text: string) => text.replaceAll(port, ':PORT').replaceAll(folder, 'FOLDER');
  return { command: plain(command), worker: plain(worker) };
}

describe('who may come in', () => {
  it('comes by mutual TLS: a command has its answer, and the namespace is set up', async () => {
    const env = environment(mutual.port, { ...trusting(), ...withPair(client) });
    expect(await sentences(env)).toEqual({ command: 'connected', worker: 'connected' });
    const { code, out } = await answerOf(command(env, 'setup-namespace'));
    expect(out).toBe(
      'Search attributes of namespace default:\n  SiglipRun    Keyword  was there\n  SiglipPhase  Keyword  was there\n  SiglipState  Keyword  was there\n  SiglipStep   Int      was there\n',
    );
    expect(code).toBe(0);
  });

  it('works by mutual TLS: a worker polls its queue, and ends when it is told to', async () => {
    const { address } = services().temporal!;
    expect(await hasPoller(address, 'siglip2-annotate')).toBe(false);
    const child = worker(environment(mutual.port, { ...trusting(), ...withPair(client) }));
    const ended = answerOf(child);
    await vi.waitFor(async () => expect(await hasPoller(address, 'siglip2-annotate', 2)).toBe(true), 30_000);
    child.kill('SIGTERM');
    expect((await ended).code).toBe(exitCodes.preempted.code);
  }, 60_000);

  it('comes by the profile of a configuration file', async () => {
    const file = join(folder, 'temporal.toml');
    const tls = `server_ca_cert_path = "${authority.cert}"\nclient_cert_path = "${client.cert}"\nclient_key_path = "${client.key}"`;
    writeFileSync(
      file,
      `[profile.lab]\naddress = "127.0.0.1:${mutual.port}"\nnamespace = "default"\n[profile.lab.tls]\n${tls}\n`,
    );
    vi.stubEnv('TEMPORAL_CONFIG_FILE', file);
    vi.stubEnv('TEMPORAL_PROFILE', 'lab');
    const found = await connect();
    expect(found?.options.namespace).toBe('default');
    expect((await found!.workflowService.describeNamespace({ namespace: 'default' })).namespaceInfo?.name).toBe(
      'default',
    );
    await found!.connection.close();
  });

  it('comes by an API key, and each call names its namespace', async () => {
    const env = environment(keyed.port, { ...trusting(), TEMPORAL_API_KEY: key });
    expect(await sentences(env)).toEqual({ command: 'connected', worker: 'connected' });
    expect([...namespaces]).toEqual(['default']);
  });

  it('an empty key is none, and turns no TLS on', async () => {
    const [, port] = services().temporal!.address.split(':');
    const env = environment(Number(port), { TEMPORAL_API_KEY: '', TEMPORAL_TLS: '', TEMPORAL_NAMESPACE: '' });
    expect(await sentences(env)).toEqual({ command: 'connected', worker: 'connected' });
  });
});

/** One who is refused, and the sentence: the same to commands and workers. */
interface Case {
  readonly gate?: () => Promise<Gate> | Gate;
  readonly env: () => Record<string, string | undefined>;
  readonly sentence: RegExp;
}
const gateWith = (own: () => Pair) => async () => {
  const gate = await startTlsGate(services().temporal!.address, own());
  gates.push(gate);
  return gate;
};

const refused: Record<string, Case> = {
  'without a client certificate': {
    env: trusting,
    sentence:
      /^Temporal at 127.0.0.1:PORT ended the TLS handshake \(.*certificate required\); it may want a client certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH$/,
  },
  'with a certificate of an authority that the server does not know': {
    gate: async () => {
      const gate = await startStrictGate(server, authority.cert);
      gates.push(gate);
      return gate;
    },
    env: () => ({ ...trusting(), ...withPair(stranger.issue('stranger')) }),
    sentence:
      /^Temporal at 127.0.0.1:PORT does not take the client certificate \(.*unknown ca\); set TEMPORAL_TLS_CLIENT_CERT_PATH/,
  },
  'with a client certificate that has expired': {
    env: () => ({ ...trusting(), ...withPair(authority.issue('old', { days: -1 })) }),
    sentence:
      /^the client certificate for Temporal at 127.0.0.1:PORT expired on \d{4}-\d\d-\d\d; set TEMPORAL_TLS_CLIENT_CERT_PATH/,
  },
  'with a key that is not that of its certificate': {
    env: () => ({ ...trusting(), ...withPair({ cert: client.cert, key: server.key }) }),
    sentence:
      /^the certificates for Temporal can't be used \(.*key values mismatch\); set TEMPORAL_TLS_CLIENT_CERT_PATH/,
  },
  'with half a pair': {
    env: () => ({ ...trusting(), TEMPORAL_TLS_CLIENT_CERT_PATH: client.cert }),
    sentence:
      /^Temporal's settings can't be read \(a client certificate alone is no pair: set TEMPORAL_TLS_CLIENT_KEY_PATH as well\)/,
  },
  'who trusts another authority': {
    env: () => ({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: stranger.cert, ...withPair(client) }),
    sentence:
      /^the certificate of Temporal at 127.0.0.1:PORT is not trusted here \([A-Z_]+\); set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the file of its authority$/,
  },
  'by a server whose certificate has expired': {
    gate: gateWith(() => authority.issue('old-server', { days: -1 })),
    env: trusting,
    sentence: /^the certificate of Temporal at 127.0.0.1:PORT has expired; whoever runs that server has to renew it/,
  },
  'by a server of another name': {
    gate: gateWith(() => authority.issue('other', { for: 'DNS:other.test' })),
    env: trusting,
    sentence:
      /^the certificate of Temporal at 127.0.0.1:PORT is not for 127.0.0.1; set TEMPORAL_TLS_SERVER_NAME to the name/,
  },
  'by a server that is not called as TEMPORAL_TLS_SERVER_NAME says': {
    env: () => ({ ...trusting(), ...withPair(client), TEMPORAL_TLS_SERVER_NAME: 'else.test' }),
    sentence:
      /^the certificate of Temporal at 127.0.0.1:PORT is not for else.test; set TEMPORAL_TLS_SERVER_NAME to the name/,
  },
  'without TLS where it is wanted': {
    env: () => ({}),
    sentence: /^Temporal at 127.0.0.1:PORT wants TLS; set TEMPORAL_TLS=true, or TEMPORAL_API_KEY/,
  },
  'with TLS where there is none': {
    gate: () => ({ port: Number(services().temporal!.address.split(':')[1]), close: async () => {} }),
    env: () => ({ TEMPORAL_API_KEY: key }),
    sentence: /^Temporal at 127.0.0.1:PORT does not speak TLS; unset TEMPORAL_TLS\* and TEMPORAL_API_KEY/,
  },
  'with a wrong API key': {
    gate: () => keyed,
    env: () => ({ ...trusting(), TEMPORAL_API_KEY: 'another' }),
    sentence:
      /^Temporal at 127.0.0.1:PORT refused the API key \(Request unauthorized\); set TEMPORAL_API_KEY to one that is valid, and TEMPORAL_NAMESPACE/,
  },
  'without an API key': {
    gate: () => keyed,
    env: () => ({ ...trusting(), TEMPORAL_TLS: 'true' }),
    sentence: /^Temporal at 127.0.0.1:PORT wants to know who asks \(Request unauthorized\); set TEMPORAL_API_KEY, or/,
  },
  'from a namespace that is not theirs': {
    gate: async () => {
      const target = services().temporal!.address;
      const gate = await startGuard(target, () => ({ code: 7, words: 'Request unauthorized.' }), server);
      gates.push(gate);
      return gate;
    },
    env: () => ({ ...trusting(), TEMPORAL_API_KEY: key, TEMPORAL_NAMESPACE: 'lab.a1b2c' }),
    sentence:
      /^Temporal at 127.0.0.1:PORT does not let this API key into namespace lab.a1b2c \(Request unauthorized\); set TEMPORAL_NAMESPACE/,
  },
  'from a namespace that does not exist': {
    env: () => ({ ...trusting(), ...withPair(client), TEMPORAL_NAMESPACE: 'nowhere' }),
    sentence:
      /^namespace nowhere does not exist at Temporal at 127.0.0.1:PORT; set TEMPORAL_NAMESPACE to one that does, or make it/,
  },
  'by what is no Temporal': {
    gate: async () => {
      const page = createServer((_, answer) => answer.end('<html>'));
      await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
      const gate = { port: (page.address() as AddressInfo).port, close: async () => void page.close() };
      gates.push(gate);
      return gate;
    },
    env: () => ({}),
    sentence:
      /^what listens at 127.0.0.1:PORT is not Temporal's gRPC port: it does not speak gRPC; set TEMPORAL_ADDRESS/,
  },
};

describe('who is refused is told so at once', () => {
  it.each(Object.keys(refused))(
    '%s',
    async (name) => {
      const { gate = () => mutual, env, sentence } = refused[name]!;
      const { command, worker } = await sentences(environment((await gate()).port, env()));
      expect(command).toMatch(sentence);
      expect(worker).toBe(command);
      expect(command).not.toContain(key);
    },
    30_000,
  );

  it('and a worker ends with that one sentence and code 1', async () => {
    const env = environment(keyed.port, { ...trusting(), TEMPORAL_API_KEY: 'another' });
    const { code, said } = await answerOf(worker(env));
    expect(said.trim().split('\n').at(-1)).toMatch(
      /^Temporal at \S+ refused the API key \(Request unauthorized\); set /,
    );
    expect(code).toBe(1);
  }, 60_000);
});

describe('a worker whose key is revoked while it works', () => {
  afterEach(() => {
    revoked = false;
  });

  it('is told when it has been said twice', async () => {
    as(environment(keyed.port, { ...trusting(), TEMPORAL_API_KEY: key }));
    const connected = await connectPatiently(AbortSignal.timeout(20_000));
    const watch = watchRefusals(connected!, { everyMs: 100, againMs: 50 });
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(watch.signal.aborted).toBe(false);
    revoked = true;
    await vi.waitFor(() => expect(watch.signal.aborted).toBe(true), 5000);
    expect((watch.signal.reason as Error).message).toMatch(/refused the API key/);
    watch.stop();
    await connected?.connection.close();
  });

  it('goes on when it was said once', async () => {
    as(environment(keyed.port, { ...trusting(), TEMPORAL_API_KEY: key }));
    const connected = await connectPatiently(AbortSignal.timeout(20_000));
    const calls = vi.spyOn(connected!.connection.workflowService, 'describeNamespace');
    const watch = watchRefusals(connected!, { everyMs: 100, againMs: 50 });
    revoked = true;
    await vi.waitFor(() => expect(calls).toHaveBeenCalledTimes(1));
    await calls.mock.results[0]!.value.catch(() => {});
    revoked = false;
    await vi.waitFor(() => expect(calls.mock.calls.length).toBeGreaterThan(3), 5000);
    expect(watch.signal.aborted).toBe(false);
    watch.stop();
    await connected?.connection.close();
  });
});

describe('an outage is waited for', () => {
  it('where it may be a refusal, that is told', async () => {
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    as(environment(mutual.port, { ...trusting(), ...withPair(stranger.issue('other-stranger')) }));
    expect(await connect()).toBeNull();
    expect(said.mock.calls.join('')).toBe(
      `Temporal does not answer at 127.0.0.1:${mutual.port} (it ends connections after the TLS handshake: its server is away, or it does not take the client certificate); what follows is from the bucket alone\n`,
    );
    said.mockRestore();
  });

  it('by a worker, until the server is there', async () => {
    as(environment(mutual.port, { ...trusting(), ...withPair(client) }));
    const { port } = mutual;
    await mutual.close();
    const ended = vi.fn();
    const coming = connectPatiently(AbortSignal.timeout(30_000)).finally(ended);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(ended).not.toHaveBeenCalled();
    mutual = await startTlsGate(services().temporal!.address, server, authority.cert, port);
    gates.push(mutual);
    const connected = await coming;
    expect(connected).not.toBeNull();
    await connected?.connection.close();
  }, 40_000);

  it('a command says so, and goes on without', async () => {
    as(environment(1));
    expect(await connect()).toBeNull();
  });
});

function command(env: Record<string, string>, ...args: string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [...cliStart, ...args], {
    cwd: root,
    env: { ...process.env, ...env, SIGLIP2_STATE: folder },
  });
}

function worker(env: Record<string, string>): ChildProcessWithoutNullStreams {
  const store = { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  return spawn(process.execPath, [...workerStart, '--queues', 'siglip2-annotate'], {
    cwd: root,
    env: { ...process.env, ...store, ...env, SIGLIP2_STATE: folder },
  });
}
