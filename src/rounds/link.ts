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
 * Seconds of a file: its bytes, or those that one connection carries where that takes longer, and a way there and back for each
 * request that it makes after another. A file of one request has one connection, however many there may be.
 */
export function transferSeconds(bytes: number, link: Link, transfer: Transfer): number {
  if (bytes === 0) return 0;
  const part = bytes <= (transfer.whole ?? 0) ? bytes : transfer.part;
  const requests = Math.ceil(Math.ceil(bytes / part) / transfer.connections);
  const ofOne = Math.min(bytes, requests * part);
  return Math.max((8 * bytes) / linkBits(link, transfer), (8 * ofOne) / connectionBits(link)) + requests * link.latency;
}
