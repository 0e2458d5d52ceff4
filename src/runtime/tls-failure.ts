/** Node's and OpenSSL's codes of a certificate that is not trusted, is not for this name or has expired: waiting mends none. */
const untrusted =
  /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(VERIFY|GET_ISSUER)|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA)/;

export const isUntrusted = (code: string): boolean => untrusted.test(code);

/** Whether what answered a TLS greeting does not speak TLS. */
export const speaksNoTls = (error: unknown): boolean =>
  /wrong version number|packet length too long/i.test((error as Error | null)?.message ?? '');

/** OpenSSL's words for how the other side ended a handshake, such as `certificate required`; undefined when it did not. */
export function alertOf(code: string): string | undefined {
  const [, alert] = /^ERR_SSL_.*ALERT_(?!NUMBER)([A-Z_]+)$/.exec(code) ?? [];
  return alert?.replaceAll('_', ' ').toLowerCase();
}
