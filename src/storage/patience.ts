/** How long a request may take, whatever the link: beyond it the caller, who can heartbeat, tries again later. */

// A server that is gone is seen in seconds.
export const connectMs = 3_000;
export const answerMs = 15_000;
/** Idle time of a socket. Completing a large upload is one long silence while the server joins the parts. */
export const silenceMs = 120_000;
/** Time over which the rate of an answer is taken. */
export const slowMs = 15_000;
/** Bytes that an answer must bring in a second: what a slow link leaves to one of a hundred requests. */
export const leastRead = 512;
/** Bytes of a body that must go in a second, which is looked at when all of it should be there. */
const leastSent = 4096;

/** Limit of a request with a body. The answer comes after it, and a large one the server has to put down first. */
export function sendingMs(bytes: number): number {
  return (bytes > 1024 * 1024 ? silenceMs : answerMs) + (1000 * bytes) / leastSent;
}
