import type { RandomStream } from '../../src/runtime/random.ts';

export interface LossyLink {
  /** Bits a second each way. */
  readonly bits: number;
  /** Milliseconds there and back. */
  readonly latency: number;
  /** Share of packets that are lost, each way. */
  readonly loss: number;
}

/** Milliseconds of traffic that wait before a link: what comes on top is dropped, as by a router. */
const roomMs = 100;

export const isLost = ({ loss }: LossyLink, random: RandomStream): boolean => random.next() < loss;

/** What is on one way of a link: packets leave one after another at its rate, and arrive half its latency later, in their order. */
export class LinkQueue<P> {
  #packets: { readonly packet: P; readonly at: number }[] = [];
  /** When the last of them has left. */
  #leaves = 0;

  /** @param now in milliseconds, as all times here; dropped where there is no room */
  enter(packet: P, bytes: number, now: number, { bits, latency }: LossyLink): void {
    const begins = Math.max(now, this.#leaves);
    if (begins - now > roomMs) return;
    this.#leaves = begins + (8 * bytes * 1000) / bits;
    this.add(packet, this.#leaves + latency / 2);
  }

  /** One that arrives at a time, no sooner than those before it. */
  add(packet: P, at: number): void {
    this.#packets.push({ packet, at });
  }

  /** Takes out those that have arrived. */
  due(now: number): P[] {
    let count = 0;
    while (count < this.#packets.length && this.#packets[count]!.at <= now) count++;
    return this.#packets.splice(0, count).map(({ packet }) => packet);
  }
}
