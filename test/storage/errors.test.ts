import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import getPort from 'get-port';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RunnerError } from '../../src/runtime/errors.ts';
import { objectStoreFromEnvironment, type S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from './versitygw.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const credentials = { accessKeyId: 'AKIAWRONG000WXYZ', secretAccessKey: 'wrong-secret-that-nobody-may-see' };

/** The failure of every kind of request, which must all tell the same. */
async function failures(store: S3ObjectStore): Promise<RunnerError[]> {
  const requests = [
    store.head('k'),
    store.get('k'),
    store.put('k', 'v'),
    store.delete('k'),
    (async () => {
      for await (const item of store.list('p/')) void item;
    })(),
  ];
  return Promise.all(
    requests.map((request) =>
      request.then(
        () => Promise.reject(new Error('did not fail')),
        (error) => {
          if (!(error instanceof RunnerError)) throw error;
          expect(error.message).not.toContain('\n');
          expect(error.message).not.toContain('secret');
          return error;
        },
      ),
    ),
  );
}

test('a bucket that does not exist is named, with the command that makes it', async () => {
  for (const error of await failures(server.store({ bucket: 'elsewhere' }))) {
    expect(error.code).toBe('BucketMissing');
    expect(error.message).toBe(
      `bucket elsewhere does not exist at ${server.endpoint}; set SIGLIP2_BUCKET to one that does, or make it: aws s3 mb s3://elsewhere`,
    );
  }
});

test('an object that rots in the store is told as damaged, and not waited for', async () => {
  const store = server.store();
  const path = join(server.folder, 'rots');
  await writeFile(path, 'these very bytes');
  await store.putFile('rots', path);
  expect(String(await store.get('rots'))).toBe('these very bytes');
  await writeFile(join(server.folder, 'root', 'test', 'rots'), 'these vary bytes');
  for (const options of [{}, { offset: 0, size: 16 }])
    await expect(store.get('rots', options)).rejects.toMatchObject({
      code: 'DataContract',
      message: 's3://test/rots is damaged: its bytes are not those of its checksum; put back what was written there',
      retryable: false,
    });
});

test('refused credentials show no more than the last four characters of the key id', async () => {
  for (const error of await failures(server.store({ credentials }))) {
    expect(error.code).toBe('CredentialsRefused');
    expect(error.message).toContain('access key id ending in WXYZ');
    expect(error.message).not.toContain('AKIA');
    expect(error.retryable).toBe(false);
  }
});

test('a wrong secret for a right key is refused too', async () => {
  const wrong = { ...credentials, accessKeyId: 'TESTACCESSKEY1234' };
  for (const error of await failures(server.store({ credentials: wrong })))
    expect(error.code).toBe('CredentialsRefused');
});

test('no credentials at all is one sentence that names what to set', async () => {
  const none = server.store({
    credentials: () => Promise.reject(Object.assign(new Error('none'), { name: 'CredentialsProviderError' })),
  });
  for (const error of await failures(none)) {
    expect(error.code).toBe('CredentialsRefused');
    expect(error.message).toContain('set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  }
});

test('an address where nothing listens is told within seconds, and worth a retry', async () => {
  const port = await getPort();
  const store = objectStoreFromEnvironment({
    AWS_ENDPOINT_URL: `http://user:secret@127.0.0.1:${port}`,
    AWS_ACCESS_KEY_ID: 'AKIAWRONG000WXYZ',
    AWS_SECRET_ACCESS_KEY: 'secret',
  });
  const started = Date.now();
  for (const error of await failures(store)) {
    expect(error).toMatchObject({ code: 'StorageUnavailable', retryable: true });
    expect(error.message).toContain(`no answer from http://127.0.0.1:${port} `);
    expect(error.message).toContain('ECONNREFUSED');
  }
  expect(Date.now() - started).toBeLessThan(8_000);
});

test('a web server that is no S3 server is refused with the setting to look at', async () => {
  const web = createServer((_, response) => response.writeHead(405).end('<html>no</html>'));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  try {
    for (const error of await failures(server.store({ endpoint }))) {
      expect(error).toMatchObject({ code: 'StorageRefused', retryable: false });
      expect(error.message).toContain('AWS_ENDPOINT_URL');
    }
  } finally {
    web.closeAllConnections();
    web.close();
  }
});

test('a server in trouble is StorageUnavailable after a few tries', async () => {
  let requests = 0;
  const web = createServer((_, response) => {
    requests++;
    response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  try {
    await expect(server.store({ endpoint }).get('k')).rejects.toMatchObject({ code: 'StorageUnavailable' });
    expect(requests).toBe(3);
  } finally {
    web.closeAllConnections();
    web.close();
  }
});
