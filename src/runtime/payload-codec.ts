import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import { RunnerError } from './errors.ts';
import { variable } from './variables.ts';

const cipher = 'aes-256-gcm';
const encoding = 'binary/encrypted';
const ivBytes = 12;
const tagBytes = 16;
const keyVariable = 'SIGLIP2_PAYLOAD_KEY';

const text = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString();

/**
 * Encrypts what Temporal keeps of a run, inputs, results, heartbeats and failures, each payload with AES-256-GCM under
 * a nonce of its own. What was not encrypted is read as it is: runs that began without a key go on.
 */
export function encryption(key: Uint8Array): PayloadCodec {
  const id = createHash('sha256').update(key).digest('hex').slice(0, 16);
  return {
    async encode(payloads) {
      return payloads.map((payload): Payload => {
        const iv = randomBytes(ivBytes);
        const made = createCipheriv(cipher, key, iv);
        const plain = Buffer.from(JSON.stringify(payloadToJson(payload)));
        const sealed = Buffer.concat([made.update(plain), made.final()]);
        return {
          metadata: {
            encoding: Buffer.from(encoding),
            'encryption-cipher': Buffer.from(cipher),
            'encryption-key-id': Buffer.from(id),
          },
          data: Buffer.concat([iv, made.getAuthTag(), sealed]),
        };
      });
    },
    async decode(payloads) {
      return payloads.map((payload): Payload => {
        if (text(payload.metadata?.encoding) !== encoding) return payload;
        const sealed = Buffer.from(payload.data ?? []);
        try {
          const opened = createDecipheriv(cipher, key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes });
          opened.setAuthTag(sealed.subarray(ivBytes, ivBytes + tagBytes));
          const plain = Buffer.concat([opened.update(sealed.subarray(ivBytes + tagBytes)), opened.final()]);
          return payloadFromJson(JSON.parse(plain.toString()));
        } catch (cause) {
          const other = text(payload.metadata?.['encryption-key-id']);
          throw new RunnerError(
            'SetupMissing',
            other === id
              ? 'a payload of Temporal was changed after it was encrypted'
              : `a payload of Temporal was encrypted under key ${other.slice(0, 16)}, and ${keyVariable} is key ${id}: set the one that the run began with`,
            { cause },
          );
        }
      });
    },
  };
}

/** A payload as Protocol Buffers write it in JSON, and as remote codecs are asked: bytes in base64. */
export interface PayloadJson {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly data?: string;
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

export function payloadToJson({ metadata, data }: Payload): PayloadJson {
  const entries = Object.entries(metadata ?? {}).map(([name, bytes]) => [name, base64(bytes)]);
  return { metadata: Object.fromEntries(entries), data: base64(data ?? new Uint8Array()) };
}

export function payloadFromJson({ metadata, data }: PayloadJson): Payload {
  const entries = Object.entries(metadata ?? {}).map(([name, text]) => [name, Buffer.from(text, 'base64')]);
  return { metadata: Object.fromEntries(entries), data: Buffer.from(data ?? '', 'base64') };
}

/** The key of the environment: 32 bytes in base64, as `openssl rand -base64 32` prints them; null when there is none. */
export function payloadKey(env: NodeJS.ProcessEnv = process.env): Uint8Array | null {
  const given = variable(keyVariable, env);
  if (!given) return null;
  const key = Buffer.from(given, 'base64');
  if (key.length === 32 && /^[A-Za-z0-9+/]{43}=?$/.test(given.trim())) return key;
  throw new RunnerError(
    'SetupMissing',
    `${keyVariable} is not 32 bytes in base64; make a key with openssl rand -base64 32`,
  );
}

/** How workers and clients read and write payloads; undefined for Temporal's own way, when there is no key. */
export function payloadConverter(env: NodeJS.ProcessEnv = process.env): DataConverter | undefined {
  const key = payloadKey(env);
  if (!key) return undefined;
  const failureConverterPath = fileURLToPath(new URL('payload-failures.cjs', import.meta.url));
  return { payloadCodecs: [encryption(key)], failureConverterPath };
}
