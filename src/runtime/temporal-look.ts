import { X509Certificate } from 'node:crypto';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectTls, type SecureContextOptions } from 'node:tls';
import type { TemporalEnvironment } from './environment.ts';
import { RunnerError } from './errors.ts';
import { grpcStatus } from './grpc-status.ts';
import { refusalOfStatus } from './temporal-refusal.ts';
import { alertOf, isUntrusted, speaksNoTls } from './tls-failure.ts';

/** What a look at an address has found: nothing wrong, who will not be waited for, or what passes by itself. */
export type Look =
  /** `untrusted` by what Node trusts, which is not the same for each client. */
  | { readonly refusal: RunnerError; readonly untrusted?: true }
  /** `hint` is for what looks like an outage and may be none. */
  | { readonly away: string; readonly hint?: string }
  | null;

const lookMs = 3_000;
const closedWithoutAnswer = 'the connection was closed';
/** A balancer in trouble says so. */
const passingAlert = /internal error|user cancel|close notify/;
/** Of what is not gRPC itself: a balancer with no server behind it. */
const passingStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/**
 * Asks the address once what it is, as the SDKs would: they wait for whatever refuses them, a wrong certificate as much
 * as a server that restarts, and their words for it are `deadline exceeded`. Takes 3 s at most. It knows no proxy.
 */
export async function lookAtTemporal(environment: TemporalEnvironment): Promise<Look> {
  const { connectionOptions } = environment;
  // The port that the SDKs take where there is none.
  const address = /:\d+$/.test(environment.address) ? environment.address : `${environment.address}:7233`;
  const refusal = (message: string, cause?: unknown) => ({
    refusal: new RunnerError('SetupMissing', message, cause === undefined ? {} : { cause }),
  });
  const { tls } = connectionOptions;
  const own = typeof tls === 'object' && tls !== null ? tls : {};
  const pair = own.clientCertPair;
  const secure: SecureContextOptions & { servername?: string } = {
    ...(own.serverRootCACertificate ? { ca: Buffer.from(own.serverRootCACertificate) } : {}),
    ...(pair ? { cert: Buffer.from(pair.crt), key: Buffer.from(pair.key) } : {}),
    ...(own.serverNameOverride ? { servername: own.serverNameOverride } : {}),
  };
  if (pair) {
    const expired = expiryOf(Buffer.from(pair.crt));
    if (expired)
      return refusal(
        `the client certificate for Temporal at ${address} expired on ${expired}; set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH to a new pair`,
      );
  }
  let answer: Answer;
  try {
    answer = await ask(address, tls ? secure : null, headersOf(environment));
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const alert = alertOf(code);
    if (alert !== undefined && !passingAlert.test(alert))
      return refusal(refusedTls(address, alert, pair !== undefined), error);
    if (isUntrusted(code)) return { ...refusal(untrusted(address, code, secure.servername), error), untrusted: true };
    if (tls && speaksNoTls(error))
      return refusal(
        `Temporal at ${address} does not speak TLS; unset TEMPORAL_TLS* and TEMPORAL_API_KEY, or set TEMPORAL_ADDRESS to its address with TLS`,
        error,
      );
    if (/^ERR_OSSL|^ERR_CRYPTO|^ERR_SSL_(NO_START_LINE|PEM)/.test(code) || /PEM|key values mismatch/i.test(message))
      return refusal(
        `the certificates for Temporal can't be used (${message.split('\n')[0]}); set TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH and TEMPORAL_TLS_SERVER_CA_CERT_PATH to PEM files that belong together`,
        error,
      );
    if (!tls && (await answersTls(address)))
      return refusal(
        `Temporal at ${address} wants TLS; set TEMPORAL_TLS=true, or TEMPORAL_API_KEY or TEMPORAL_TLS_CLIENT_CERT_PATH as it asks for`,
        error,
      );
    if (code === 'ERR_HTTP2_ERROR') return refusal(notTemporal(address, 'it does not speak gRPC'), error);
    // Who has no server behind it does so as well as who only looks at certificates after the handshake.
    const silent = pair !== undefined && message === closedWithoutAnswer;
    const hint =
      'it ends connections after the TLS handshake: its server is away, or it does not take the client certificate';
    return { away: silent ? hint : code || message, ...(silent && { hint }) };
  }
  const { status, grpc, words } = answer;
  if (status !== 200) {
    if (passingStatuses.has(status)) return { away: `HTTP ${status}` };
    if (status !== 401 && status !== 403) return refusal(notTemporal(address, `it answered HTTP ${status}`));
  }
  if (status === 200 && grpc === null) return refusal(notTemporal(address, 'its answer is not gRPC'));
  const { ok, unimplemented, unauthenticated, permissionDenied } = grpcStatus;
  const code = status === 401 ? unauthenticated : status === 403 ? permissionDenied : grpc!;
  const refused = refusalOfStatus(code, words, environment);
  if (refused) return { refusal: refused };
  return code === ok || code === unimplemented ? null : { away: `gRPC status ${code}` };
}

interface Answer {
  readonly status: number;
  /** Null when there was none. */
  readonly grpc: number | null;
  readonly words: string;
}

function headersOf({ connectionOptions, namespace }: TemporalEnvironment): Record<string, string> {
  const { apiKey, metadata } = connectionOptions;
  return {
    ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}),
    ...(metadata as Record<string, string> | undefined),
    'temporal-namespace': namespace,
  };
}

/** GetSystemInfo by hand: an empty message in a frame of gRPC. */
function ask(
  address: string,
  secure: (SecureContextOptions & { servername?: string }) | null,
  headers: Record<string, string>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let session: ClientHttp2Session | undefined;
    const timer = setTimeout(() => fail(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })), lookMs);
    const end = () => {
      clearTimeout(timer);
      session?.destroy();
    };
    const fail = (error: Error) => {
      end();
      reject(error);
    };
    try {
      session = connect(`${secure ? 'https' : 'http'}://${address}`, { ...secure, ALPNProtocols: ['h2'] });
    } catch (error) {
      return fail(error as Error);
    }
    session.once('error', fail);
    const stream = session.request({
      ...headers,
      ':method': 'POST',
      ':path': '/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(secure?.servername ? { ':authority': secure.servername } : {}),
    });
    let answer: Answer = { status: 0, grpc: null, words: '' };
    const read = (given: Readonly<Record<string, unknown>>) => {
      const status = Number(given[':status'] ?? answer.status);
      const grpc = given['grpc-status'] === undefined ? answer.grpc : Number(given['grpc-status']);
      const words = given['grpc-message'] === undefined ? answer.words : decode(String(given['grpc-message']));
      answer = { status, grpc, words };
    };
    stream.on('response', read).on('trailers', read);
    // Why a session ended is told by it or by the stream, whichever Node asks first, or by nobody.
    stream.on('error', (error) => setImmediate(fail, error));
    stream.on('close', () => {
      const closed = Object.assign(new Error(closedWithoutAnswer), { code: 'ECONNRESET' });
      if (answer.status === 0) return void setTimeout(fail, 100, closed);
      end();
      resolve(answer);
    });
    stream.resume();
    stream.end(Buffer.alloc(5));
  });
}

function decode(words: string): string {
  try {
    return decodeURIComponent(words);
  } catch {
    return words;
  }
}

/** The day on which a certificate expired; null while it is good, and for what is no certificate. */
function expiryOf(pem: Buffer): string | null {
  try {
    const end = new Date(new X509Certificate(pem).validTo);
    return end.getTime() < Date.now() ? end.toISOString().slice(0, 10) : null;
  } catch {
    return null;
  }
}

function refusedTls(address: string, alert: string, hasCertificate: boolean): string {
  const what = hasCertificate
    ? `does not take the client certificate (${alert}); set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH to a pair that it knows`
    : `ended the TLS handshake (${alert}); it may want a client certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH`;
  return `Temporal at ${address} ${what}`;
}

function untrusted(address: string, code: string, servername: string | undefined): string {
  const wrongName = code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH';
  const name = servername ?? address.replace(/:\d+$/, '');
  if (wrongName)
    return `the certificate of Temporal at ${address} is not for ${name}; set TEMPORAL_TLS_SERVER_NAME to the name that it is for`;
  if (code === 'CERT_HAS_EXPIRED')
    return `the certificate of Temporal at ${address} has expired; whoever runs that server has to renew it, unless this machine's clock is wrong`;
  return `the certificate of Temporal at ${address} is not trusted here (${code}); set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the file of its authority`;
}

const notTemporal = (address: string, why: string) =>
  `what listens at ${address} is not Temporal's gRPC port: ${why}; set TEMPORAL_ADDRESS to HOST:PORT of its frontend, such as 127.0.0.1:7233`;

/** Whether something at an address answers a TLS greeting, be it by refusing this one. */
function answersTls(address: string): Promise<boolean> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((resolve) => {
    const host = hostname.replace(/^\[|\]$/g, '');
    const socket = connectTls({ host, port: Number(port || 80), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(lookMs, () => end(false));
    socket.once('secureConnect', () => end(true));
    socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => end(alertOf(code) !== undefined));
  });
}
