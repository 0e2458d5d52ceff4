import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of a certificate and its key. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** An authority that lives for a test, in a folder of its own. */
export interface Authority extends Pair {
  /** @param days that it is good for; one of -1 has expired */
  issue(name: string, options?: { readonly for?: string; readonly days?: number }): Pair;
}

const openssl = (folder: string, ...args: string[]) =>
  void execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** Node signs no certificates, so that the `openssl` program does it. */
export function makeAuthority(folder: string, name: string): Authority {
  mkdirSync(folder, { recursive: true });
  const pair = (of: string) => ({ cert: join(folder, `${of}.pem`), key: join(folder, `${of}.key`) });
  const own = pair(name);
  const files = ['-keyout', own.key, '-out', own.cert];
  openssl(folder, 'req', '-x509', ...newKey, ...files, '-subj', `/CN=${name}`, '-days', '2');
  return {
    ...own,
    issue(of, { for: names = 'DNS:localhost,IP:127.0.0.1', days = 2 } = {}) {
      const issued = pair(of);
      const request = join(folder, `${of}.csr`);
      const extensions = join(folder, `${of}.ext`);
      writeFileSync(extensions, `subjectAltName=${names}\n`);
      openssl(folder, 'req', '-new', ...newKey, '-keyout', issued.key, '-out', request, '-subj', `/CN=${of}`);
      openssl(
        ...([folder, 'x509', '-req', '-in', request, '-CA', own.cert, '-CAkey', own.key, '-CAcreateserial'] as const),
        ...(['-days', String(days), '-extfile', extensions, '-out', issued.cert] as const),
      );
      return issued;
    },
  };
}
