import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askCommand } from '../../src/worker-life/notice-command.ts';
import { UrlNotice } from '../../src/worker-life/notice-url.ts';
import { noticeSources, watchNotices } from '../../src/worker-life/notices.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
let answer: Answer;
let origin: string;
const server = createServer((request, response) => answer(request, response));
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

const say = (response: ServerResponse, status: number, body = '') => void response.writeHead(status).end(body);

describe('an address of metadata', () => {
  it('of AWS wants a token, has nothing for a while, then names an action, and is asked for another token when one ends', async () => {
    const tokens: string[] = [];
    let action: string | null = null;
    answer = ({ method, url, headers }, response) => {
      if (method === 'PUT' && url === '/latest/api/token') {
        expect(headers['x-aws-ec2-metadata-token-ttl-seconds']).toBe('21600');
        tokens.push(`token-${tokens.length}`);
        return say(response, 200, tokens.at(-1));
      }
      if (headers['x-aws-ec2-metadata-token'] !== (tokens.at(-1) ?? 'none yet')) return say(response, 401);
      return action === null ? say(response, 404, '<html>404 - Not Found</html>') : say(response, 200, action);
    };
    const asked = new UrlNotice(`${origin}/latest/meta-data/spot/instance-action`);
    expect(await asked.look()).toBeNull();
    expect(await asked.look()).toBeNull();
    expect(tokens).toHaveLength(1);
    tokens.push('the first has ended');
    action = '{"action": "terminate", "time": "2026-11-27T08:22:00Z"}';
    expect(await asked.look()).toBe(action);
    expect(tokens).toHaveLength(3);
  });

  it('of GCP says FALSE until it says TRUE', async () => {
    let preempted = 'FALSE';
    answer = ({ headers }, response) => {
      if (headers['metadata-flavor'] !== 'Google') return say(response, 403);
      say(response, 200, preempted);
    };
    const asked = new UrlNotice(`${origin}/computeMetadata/v1/instance/preempted`);
    expect(await asked.look()).toBeNull();
    preempted = 'TRUE';
    expect(await asked.look()).toBe('TRUE');
    for (const none of ['', ' \n', 'NONE', 'none', 'null', '"false"']) {
      preempted = none;
      expect(await asked.look(), JSON.stringify(none)).toBeNull();
    }
  });

  it('of Azure lists events of a group of machines: those that end this one are meant', async () => {
    let events: object[] = [];
    let name = 'vm_1';
    answer = ({ url, headers }, response) => {
      if (headers.metadata !== 'true') return say(response, 400);
      if (url!.startsWith('/metadata/instance/compute/name')) return say(response, name ? 200 : 404, name);
      say(response, 200, JSON.stringify({ DocumentIncarnation: 1, Events: events }));
    };
    const look = () => new UrlNotice(`${origin}/metadata/scheduledevents?api-version=2020-07-01`).look();
    const event = (EventType: string, machine: string) => ({
      ...{ EventId: 'A', EventStatus: 'Scheduled', EventType, ResourceType: 'VirtualMachine', Resources: [machine] },
      NotBefore: 'Fri, 27 Nov 2026 08:22:00 GMT',
    });
    expect(await look()).toBeNull();
    events = [event('Freeze', 'vm_1'), event('Preempt', 'vm_0')];
    expect(await look()).toBeNull();
    events.push(event('Preempt', 'vm_1'));
    expect(await look()).toBe('Preempt Fri, 27 Nov 2026 08:22:00 GMT');
    // Whoever does not know its own name goes for safety.
    events = [event('Preempt', 'vm_0')];
    name = '';
    expect(await look()).toBe('Preempt Fri, 27 Nov 2026 08:22:00 GMT');
  });

  it('that fails, leads elsewhere, is silent, or says too much is no notice, and its secrets are not in its name', async () => {
    const address = new URL(origin);
    Object.assign(address, { username: 'me', password: 'secret', pathname: '/spot', search: '?key=secret' });
    // Credentials within an address are not taken by fetch at all.
    expect(new UrlNotice(address.href).name).toBe(`${origin}/spot`);
    const asked = new UrlNotice(`${origin}/spot`);
    answer = (_, response) => say(response, 503, 'TRUE');
    await expect(asked.look()).rejects.toThrow('it answers 503');
    answer = (_, response) => void response.writeHead(302, { Location: '/other' }).end();
    await expect(asked.look()).rejects.toThrow('it does not answer');
    answer = ({ method }, response) => say(response, method === 'PUT' ? 403 : 401);
    await expect(asked.look()).rejects.toThrow('it answers 401, and 403 when asked for a token');
    answer = (_, response) => say(response, 200, 'x'.repeat(70_000));
    await expect(asked.look()).rejects.toThrow('its answer is larger than 65536 bytes');
    await expect(new UrlNotice('http://127.0.0.1:1/').look()).rejects.toThrow('it does not answer');
  });
});

it('a command says it by its exit code, and one that can not be run says nothing', async () => {
  expect(await askCommand('test -d /')).toBe('exit code 0');
  expect(await askCommand('exit 1')).toBeNull();
  expect(await askCommand('exit 125')).toBeNull();
  await expect(askCommand('no-such-command-anywhere')).rejects.toThrow('it could not be run (127)');
  await expect(askCommand('kill -9 $$')).rejects.toThrow('it could not be run (SIGKILL)');
});

it('each trouble is told once, the others are looked at meanwhile, and the first notice ends it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'notice-'));
  try {
    const file = join(folder, 'gone');
    const troubles: string[] = [];
    const notices: string[] = [];
    let looks = 0;
    const [ofFile] = noticeSources({ file });
    const broken = {
      name: 'broken',
      everyMs: 5,
      async look(): Promise<null> {
        looks += 1;
        if (looks === 4) return null;
        if (looks === 8) writeFileSync(file, '');
        throw new Error('away');
      },
    };
    await watchNotices([{ ...ofFile!, everyMs: 5 }, broken], {
      signal: new AbortController().signal,
      onTrouble: (source, { message }) => void troubles.push(`${source}: ${message}`),
      onNotice: (why) => void notices.push(why),
    });
    expect(looks).toBeGreaterThanOrEqual(8);
    expect(troubles).toEqual(['broken: away', 'broken: away']);
    expect(notices).toEqual([`${file}: the file is there`]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
