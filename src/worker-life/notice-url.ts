const patienceMs = 3000;
/** An answer is read up to here. */
const mostBytes = 1 << 16;
/** Azure's events that end a machine; a freeze is over in seconds. */
const ending = /^(Preempt|Terminate|Reboot|Redeploy)$/i;

/**
 * A cloud's metadata address, asked whether this machine is to be taken away. Read as the clouds' pages describe it:
 * AWS answers 404 until there is an `instance-action`, and wants a session token; GCP's `preempted` is FALSE or TRUE; Azure's
 * `scheduledevents` is a list of events of the machines of a group, so this machine's name is asked for as well.
 */
export class UrlNotice {
  readonly #url: URL;
  #token: string | null = null;
  #ownName: string | null = null;

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** Without what may be secret in it. */
  get name(): string {
    return `${this.#url.origin}${this.#url.pathname}`;
  }

  /** What the answer says, or null where it is no notice. Throws when there is no answer, or none that can be meant. */
  async look(): Promise<string | null> {
    let response = await this.#get(this.#url);
    if (response.status === 401) {
      await response.body?.cancel();
      this.#token = await this.#newToken();
      response = await this.#get(this.#url);
    }
    const body = (await textOf(response)).trim();
    if (response.status === 404 || response.status === 410) return null;
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    const events = azureEvents(body);
    if (events === null) return isNone(body) ? null : body.slice(0, 200);
    const mine = events.filter(({ EventType }) => ending.test(EventType ?? ''));
    const named = mine.some(({ Resources = [] }) => Resources.length > 0);
    const name = named ? await this.#machine() : null;
    const found = mine.find(
      ({ Resources = [] }) => name === null || Resources.length === 0 || Resources.includes(name),
    );
    return found ? `${found.EventType} ${found.NotBefore ?? ''}`.trim() : null;
  }

  #get(url: URL): Promise<Response> {
    const headers: Record<string, string> = { 'Metadata-Flavor': 'Google', Metadata: 'true' };
    if (this.#token) headers['X-aws-ec2-metadata-token'] = this.#token;
    return fetch(url, { headers, redirect: 'error', signal: AbortSignal.timeout(patienceMs) }).catch((error) => {
      throw new Error(`it does not answer: ${error.cause?.code ?? error.cause?.message ?? error.message}`);
    });
  }

  /** Of AWS' instance metadata service, version 2. It lasts for six hours; the next 401 brings another. */
  async #newToken(): Promise<string> {
    const response = await fetch(new URL('/latest/api/token', this.#url), {
      method: 'PUT',
      headers: { 'X-aws-ec2-metadata-token-ttl-seconds': '21600' },
      redirect: 'error',
      signal: AbortSignal.timeout(patienceMs),
    });
    if (!response.ok) throw new Error(`it answers 401, and ${response.status} when asked for a token`);
    return (await textOf(response)).trim();
  }

  /** The machine's name in Azure's lists; null when that is not known, and then every event may be meant. */
  async #machine(): Promise<string | null> {
    if (this.#ownName !== null) return this.#ownName;
    const url = new URL('/metadata/instance/compute/name?api-version=2021-02-01&format=text', this.#url);
    const response = await this.#get(url).catch(() => null);
    const name = response?.ok ? (await textOf(response)).trim() : '';
    if (name) this.#ownName = name;
    return name || null;
  }
}

const isNone = (body: string) => body === '' || /^"?(false|none|null|0)"?$/i.test(body);

interface AzureEvent {
  readonly EventType?: string;
  readonly NotBefore?: string;
  readonly Resources?: readonly string[];
}

function azureEvents(body: string): readonly AzureEvent[] | null {
  try {
    const { Events } = JSON.parse(body) as { Events?: unknown };
    return Array.isArray(Events) ? (Events as AzureEvent[]) : null;
  } catch {
    return null;
  }
}

async function textOf(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    pieces.push(piece as Uint8Array);
    bytes += (piece as Uint8Array).length;
    if (bytes > mostBytes) throw new Error(`its answer is larger than ${mostBytes} bytes`);
  }
  return Buffer.concat(pieces).toString();
}
