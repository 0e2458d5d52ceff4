import { type Matrix, unitRows } from '../../src/evaluate/numbers/matrix.ts';
import { nearestBothWays, productError } from '../../src/evaluate/numbers/nearest.ts';
import { neededOf, placesOfRight, shareAmong } from '../../src/evaluate/numbers/places.ts';
import { nodeBackend } from '../../src/runtime/tensorflow.ts';

/**
 * Retrieval at its largest, 50,000 pictures and five captions of each at width 768: npx tsx test/bench/retrieval-size.ts
 * [pictures] [width]. Rows are made up: captions lie around their picture, so that about half are found.
 */
const [pictures = 50_000, width = 768] = process.argv.slice(2).map(Number);
const captions = 5;

let state = 1;
const uniform = () => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state / 2 ** 31;
};
const images: Matrix = unitRows({ width, rows: Float32Array.from({ length: pictures * width }, uniform) });
const noisy = new Float32Array(captions * pictures * width);
for (let i = 0; i < noisy.length; i++) {
  const picture = Math.floor(i / width / captions);
  noisy[i] = images.rows[picture * width + (i % width)]! * Math.sqrt(width) + 9 * uniform();
}
const texts = unitRows({ width, rows: noisy });

const began = performance.now();
const used = process.cpuUsage();
const told = (what: string) => {
  const { user, system } = process.cpuUsage(used);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `${what}: ${seconds} s, ${((user + system) / 1e6).toFixed(1)} s of processors, ${Math.round(process.memoryUsage().rss / 1e6)} MB`,
  );
};
const pause = async () => {};
const most = 10;
const ks = { kOfA: neededOf(most, captions), kOfB: neededOf(most, 1) };
const { ofA, ofB } = await nearestBothWays(images, texts, ks, pause);
told('nearest of both');
const error = productError(width, nodeBackend().isUsingGpuDevice ? 'gpu' : 'cpu');
const own = (i: number) => Array.from({ length: captions }, (_, k) => captions * i + k);
const forward = await placesOfRight(images, texts, own, { nearest: ofA, error, most }, pause);
told('places of pictures');
const backward = await placesOfRight(
  texts,
  images,
  (j) => [Math.floor(j / captions)],
  { nearest: ofB, error, most },
  pause,
);
told('places of texts');
console.log({
  i2t: [1, 5, 10].map((k) => shareAmong(forward, k)),
  t2i: [1, 5, 10].map((k) => shareAmong(backward, k)),
});
