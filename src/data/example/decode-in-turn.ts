import { setTimeout } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import sharp from 'sharp';
import { decodeImage } from './decode.ts';
import { jpegSize } from './jpeg-size.ts';
import type { Pixels } from './pixels.ts';

/** Pixels of a picture that is decoded beside others: 48 MB, and as much again while it is read. */
const beside = 16 * 2 ** 20;
const lookedAtMs = 5;

let last: Promise<unknown> = Promise.resolve();
let taken: Int32Array = new Int32Array(1);

/** A number, 0 at first, that threads share: only one of them decodes a very large picture at a time, and it says which. */
export function takeTurnsBy(number: SharedArrayBuffer): void {
  taken = new Int32Array(number);
}

const nameOf = (thread: number) => thread + 1;

/** A thread that has ended gives its turn back. */
export function freeTurn(number: SharedArrayBuffer, thread: number): void {
  Atomics.compareExchange(new Int32Array(number), 0, nameOf(thread), 0);
}

/**
 * Decodes an image as `decodeImage` does, and those that are very large one after another: a file of a megabyte can
 * take a gigabyte of memory on its way, and several readers at work would take it several times.
 */
export async function decodeInTurn(bytes: Uint8Array, room?: (bytes: number) => Uint8Array): Promise<Pixels> {
  if ((await pixelsOf(bytes)) <= beside) return decodeImage(bytes, 'white', room);
  const turn = last.then(() => decodeAlone(bytes));
  last = turn.catch(() => {});
  return turn;
}

async function decodeAlone(bytes: Uint8Array): Promise<Pixels> {
  while (Atomics.compareExchange(taken, 0, 0, nameOf(threadId)) !== 0) await setTimeout(lookedAtMs);
  try {
    return await decodeImage(bytes);
  } finally {
    Atomics.store(taken, 0, 0);
  }
}

/** As its header says; 0 where that can't be read, which decoding tells in words. */
async function pixelsOf(bytes: Uint8Array): Promise<number> {
  const { width, height } =
    jpegSize(bytes) ??
    (await sharp(bytes, { limitInputPixels: false })
      .metadata()
      .catch(() => ({ width: 0, height: 0 })));
  return width * height;
}
