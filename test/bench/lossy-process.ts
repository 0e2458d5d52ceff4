import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import koffi from 'koffi';
import { randomStream } from '../../src/runtime/random.ts';
import { isLost, LinkQueue, type LossyLink } from './lossy-link.ts';

/**
 * A way between two interfaces of this machine that has latency and loses packets, for kernels without `netem`: `NAME NAME SEED`
 * of two tunnels, which are made here and are there as long as this process. A line of a `LossyLink` sets what it is; before that it
 * carries everything at once.
 */
const [outer, inner, seed] = process.argv.slice(2) as [string, string, string];
const tunnelRequest = 0x4004_54ca;
const [ipPackets, noHeader] = [1, 0x1000];
/** Milliseconds between two looks at a tunnel. */
const everyMs = 1;
const ioctl = koffi.load('libc.so.6').func('int ioctl(int fd, unsigned long request, void *argument)');

function tunnel(name: string): number {
  const fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
  const request = Buffer.alloc(40);
  request.write(name);
  request.writeUInt16LE(ipPackets | noHeader, 16);
  if (ioctl(fd, tunnelRequest, request) === 0) return fd;
  closeSync(fd);
  throw new Error(`no tunnel ${name} can be made`);
}

const buffer = Buffer.alloc(65_536);

/** The next packet, or null where none waits. */
function nextPacket(fd: number): Buffer | null {
  try {
    return Buffer.from(buffer.subarray(0, readSync(fd, buffer)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
    throw error;
  }
}

let link: LossyLink | null = null;
const ends = [tunnel(outer), tunnel(inner)] as const;
const ways = ([0, 1] as const).map((from) => ({
  from: ends[from],
  to: ends[1 - from]!,
  queue: new LinkQueue<Buffer>(),
  random: randomStream(Number(seed), `way ${from}`),
}));

function carry(): void {
  for (const { from, to, queue, random } of ways) {
    const now = performance.now();
    for (let packet = nextPacket(from); packet; packet = nextPacket(from)) {
      if (!link) queue.add(packet, now);
      // It has waited for half a look, and will once more.
      else if (!isLost(link, random)) queue.enter(packet, packet.length, now - everyMs, link);
    }
    for (const packet of queue.due(performance.now())) {
      try {
        writeSync(to, packet);
      } catch {
        // An interface that is down or full loses it, as any does.
      }
    }
  }
}

setInterval(carry, everyMs);
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
createInterface({ input: process.stdin })
  .on('line', (line) => {
    link = JSON.parse(line);
    process.stdout.write(`${JSON.stringify({ set: true })}\n`);
  })
  .on('close', () => process.exit(0));
