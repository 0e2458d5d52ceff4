/** What machines send by: Linux has the first unless it is told otherwise. */
export const congestionControls = ['cubic', 'bbr'] as const;

/** A way between a worker and the store. */
export interface Link {
  /** Bits a second. */
  readonly bits: number;
  /** Seconds there and back. */
  readonly latency: number;
  /** Share of packets that are lost, 0 to 1. */
  readonly loss: number;
  /** At both ends; `cubic` if nothing is said. */
  readonly congestion?: (typeof congestionControls)[number];
}

/** How a file goes over it. */
export interface Transfer {
  /** Connections at once. */
  readonly connections: number;
  /** Bytes of a request. */
  readonly part: number;
  /** A file of up to so many bytes is one request. */
  readonly whole?: number;
}

/** Bytes of a packet that are the file's: Ethernet's 1,500 less the heads of IP and TCP with its time stamps. */
export const packetBytes = 1448;

/**
 * Bits a second that one connection reaches under random loss: the larger of what Reno and CUBIC keep on their way, as
 * Linux does it (RFC 9438, section 5.1: 1.054 rtt^0.75 / p^0.75 packets; Mathis and others 1997: sqrt(1.5 / p) packets). BBR
 * does not take random loss for a sign that the link is full, and fills it.
 */
export function connectionBits({ bits, latency, loss, congestion = 'cubic' }: Link): number {
  if (loss === 0 || latency === 0 || congestion === 'bbr') return bits;
  const packets = Math.max(Math.sqrt(1.5 / loss), 1.054 * (latency / loss) ** 0.75);
  return Math.min(bits, (packets * packetBytes * 8) / latency);
}

/** Bits a second that arrive: what is lost is sent again. */
export function linkBits(link: Link, { connections }: Pick<Transfer, 'connections'>): number {
  return Math.min(link.bits * (1 - link.loss), connections * connectionBits(link));
}

/**
 * Seconds of a file: its bytes, or those that one connection carries where that takes longer, a way there and back for each
 * request that it makes after another, and what connections take to find their rate. A file of one request has one connection,
 * however many there may be.
 *
 * @param places that send at once, each over a link of its own, of which the last is waited for
 */
export function transferSeconds(bytes: number, link: Link, transfer: Transfer, places = 1): number {
  if (bytes === 0) return 0;
  const part = bytes <= (transfer.whole ?? 0) ? bytes : transfer.part;
  const parts = Math.ceil(bytes / part);
  const connections = Math.min(parts, transfer.connections);
  const requests = Math.ceil(parts / connections);
  const ofOne = Math.min(bytes, requests * part);
  const slowest = lastOf(places * connections, ofOne, link) * ((8 * ofOne) / connectionBits(link));
  const sending = Math.max((8 * bytes) / linkBits(link, { connections }), slowest);
  return sending + requests * link.latency + rampSeconds(link, connections);
}

/**
 * How much longer than the mean connection the last of several takes. Gaps between random losses vary: one that loses L packets on its
 * way would take longer or shorter by 1 / sqrt(L) of its time, and by 0.7 of that as its window follows (a simulation in the test). The
 * mean of the largest of n normal numbers by Blom (1958), their quantile by Tukey's lambda.
 */
function lastOf(connections: number, bytes: number, link: Link): number {
  const losses = (link.loss * bytes) / packetBytes;
  if (losses === 0 || connections === 1 || connectionBits(link) === link.bits) return 1;
  const u = (connections - 0.375) / (connections + 0.25);
  return 1 + (0.7 * 4.91 * (u ** 0.14 - (1 - u) ** 0.14)) / Math.sqrt(losses);
}

/** Packets that a connection begins with, after it was idle too (RFC 6928; Linux since 2.6.39). */
const firstPackets = 10;

/** A connection doubles what is on its way with each way there and back, until it carries its share. */
function rampSeconds(link: Link, connections: number): number {
  const share = Math.min(connectionBits(link), link.bits / connections);
  const packets = (share * link.latency) / (8 * packetBytes);
  return link.latency * Math.max(0, Math.log2(packets / firstPackets));
}
