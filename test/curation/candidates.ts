import type { Embeddings } from '../../src/curation/pair-scores.ts';
import { randomStream } from '../../src/runtime/random.ts';

/**
 * B candidates whose image and text agree more or less: rows of length one, (B, width). A low temperature
 * lets the noise have its say.
 */
export function candidatesOf(count: number, width: number, purpose: string, temperature = 1.5): Embeddings {
  const random = randomStream(3, purpose);
  const unit = () => {
    const row = Array.from({ length: width }, () => random.normal());
    const length = Math.hypot(...row);
    return row.map((value) => value / length);
  };
  const images: number[] = [];
  const texts: number[] = [];
  for (let i = 0; i < count; i++) {
    const [image, other, agree] = [unit(), unit(), random.next()];
    const text = image.map((value, k) => agree * value + (1 - agree) * other[k]!);
    const length = Math.hypot(...text);
    images.push(...image);
    texts.push(...text.map((value) => value / length));
  }
  return {
    images: Float32Array.from(images),
    texts: Float32Array.from(texts),
    logitScale: Math.log(temperature),
    logitBias: -random.next() * 4,
  };
}
