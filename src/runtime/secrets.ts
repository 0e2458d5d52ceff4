/** Names of fields that hold credentials. Recipes may have none, and logs show none of their values. */
export const secretName =
  /(secret|password|passwd|credential|private.?key|api.?key|access.?key|session.?token|auth.?token|bearer)/i;

/** Values that are credentials by what they begin with. */
export const secretValue =
  /(AKIA|ASIA)[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|^hf_[A-Za-z0-9]{20}|^gh[pousr]_[A-Za-z0-9]{20}/;

/** In an environment a little more is one: `HF_TOKEN`, `SIGLIP2_PAYLOAD_KEY`, `TEMPORAL_TLS_CLIENT_KEY_DATA`. */
const secretVariable = new RegExp(`${secretName.source}|token(?!iz)|_pass$|_pwd$|_key(_data)?$`, 'i');

/** Shorter ones are words that stand anywhere. */
const shortest = 6;
const shown = '[secret]';

/** Takes credentials out of a text. */
export type Redact = (text: string) => string;

/** The values of an environment that no log may show: those of variables by their names, and passwords in URLs. */
export function secretValues(env: NodeJS.ProcessEnv = process.env): string[] {
  return Object.entries(env).flatMap(([name, value = '']) => {
    if (secretVariable.test(name)) return [value];
    const password = /:\/\/[^\s/:@]*:([^\s/]+)@/.exec(value)?.[1];
    return password === undefined ? [] : [password, decoded(password)];
  });
}

/**
 * Takes out what is a credential: by value, also as it stands in URLs and JSON, and line by line where it has several;
 * and by shape, for those that nobody told of, such as an instance's own or those in the answer of a store.
 */
export function redactor(values: Iterable<string> = secretValues()): Redact {
  const known = new Set<string>();
  for (const value of values)
    for (const line of [value, ...value.split(/\r?\n/)])
      for (const one of [line, encodeURIComponent(line), JSON.stringify(line).slice(1, -1)])
        if (one.trim().length >= shortest) known.add(one.trim());
  const longestFirst = [...known].sort((a, b) => b.length - a.length);
  const byValue = longestFirst.length > 0 && new RegExp(longestFirst.map(escaped).join('|'), 'g');
  return (text) => {
    let clean = byValue ? text.replace(byValue, shown) : text;
    for (const [shape, instead] of shapes) clean = clean.replace(shape, instead);
    return clean;
  };
}

/** Every repetition is bounded, or ends at a space: a line of 8 kB takes well under a millisecond. */
const shapes: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g, shown],
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, shown],
  [/:\/\/[^\s/:@]{0,200}:[^\s/]{1,2000}@/g, `://${shown}@`],
  [/((?:X-Amz-(?:Signature|Credential|Security-Token)|AWSAccessKeyId|Signature|sig)=)[^&\s"'<>]+/gi, `$1${shown}`],
  [/\b(authorization\\?["']?\s{0,8}[:=]\s{0,8}\\?["']?)[^\n"']+/gi, `$1${shown}`],
  [/\b(Bearer\s+)[A-Za-z0-9._~+/=-]{8,}/gi, `$1${shown}`],
  [/\b(Basic\s+)(?=[A-Za-z+/]{0,100}[0-9+/=])[A-Za-z0-9+/]{8,}={0,2}/g, `$1${shown}`],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/g, shown],
  [/\b(?:hf_|gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,}/g, shown],
  [
    /((?:secret|passw(?:or)?d|credential|private.?key|api.?key|access.?key|payload.?key|(?:session|security|auth|access|refresh).?token)[\w-]{0,40}\\?["']?\s{0,8}[:=]\s{0,8})(?!\[secret\])(\\?"[^"\n]*"|'[^'\n]*'|[^\s"',;&}\])]+)/gi,
    `$1${shown}`,
  ],
  // Secret keys of AWS, and lines of a private key: base64 of these lengths, and not the hexadecimal of a hash.
  [
    /(?<![\w/+=.-])(?=\S{0,63}[a-z])(?=\S{0,63}[A-Z])(?=\S{0,63}\d)(?:[A-Za-z0-9/+]{40}|[A-Za-z0-9/+]{64})(?![\w/+=.-])/g,
    shown,
  ],
];

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&');

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
