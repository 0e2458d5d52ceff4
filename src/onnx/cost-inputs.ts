import { eosId } from '../data/example/tokenizer.ts';
import { patchGrid } from '../model/parameters.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { randomStream } from '../runtime/random.ts';

const pictures = 4;

export interface Feed {
  readonly type: 'float32' | 'int64';
  readonly data: Float32Array | BigInt64Array;
  readonly shape: readonly number[];
}
export type Feeds = Readonly<Record<string, Feed>>;

/** Pictures with something in them at every scale, in [-1, 1], as many numbers as a model takes of each. */
export function imageFeeds(config: ModelConfig): Feeds {
  const { kind, resolution: side, patch } = config.vision;
  const grid = patchGrid(config);
  const value = (picture: number, channel: number, row: number, column: number) => {
    const random = waves[(picture * 3 + channel) % waves.length]!;
    return random.reduce((sum, [x, y, phase], i) => sum + Math.sin(x * column + y * row + phase) / 2 ** (i + 1), 0);
  };
  if (kind !== 'naflex') {
    const data = new Float32Array(pictures * 3 * side * side);
    for (let at = 0; at < data.length; at++) {
      const [column, row] = [at % side, Math.floor(at / side) % side];
      const channel = Math.floor(at / side ** 2);
      data[at] = value(Math.floor(channel / 3), channel % 3, row, column);
    }
    return { pixel_values: { type: 'float32', data, shape: [pictures, 3, side, side] } };
  }
  const [patches, numbers] = [grid * grid, 3 * patch ** 2];
  const data = new Float32Array(pictures * patches * numbers);
  for (let at = 0; at < data.length; at++) {
    const [channel, inside] = [at % 3, Math.floor((at % numbers) / 3)];
    const place = Math.floor(at / numbers) % patches;
    const row = Math.floor(place / grid) * patch + Math.floor(inside / patch);
    const column = (place % grid) * patch + (inside % patch);
    data[at] = value(Math.floor(at / numbers / patches), channel, row, column);
  }
  const ints = (values: readonly number[], shape: readonly number[]): Feed => ({
    type: 'int64',
    data: BigInt64Array.from(values, BigInt),
    shape,
  });
  return {
    pixel_values: { type: 'float32', data, shape: [pictures, patches, numbers] },
    pixel_attention_mask: ints(Array(pictures * patches).fill(1), [pictures, patches]),
    spatial_shapes: ints(Array(pictures * 2).fill(grid), [pictures, 2]),
  };
}

/** (x, y, phase) of six waves for each picture and channel, each half as strong as the one before. */
const waves = Array.from({ length: 3 * pictures }, (_, i) => {
  const random = randomStream(1, `waves/${i}`);
  return Array.from({ length: 6 }, (_, k) => {
    const size = (0.04 * 2 ** k * (50 + random.below(100))) / 100;
    const direction = (2 * Math.PI * random.below(360)) / 360;
    return [size * Math.cos(direction), size * Math.sin(direction), random.below(7)] as const;
  });
});

/** Token ids (texts, length) as rows of a table that has those of `ids` alone. */
export function textFeeds(tokens: Int32Array, ids: readonly number[], length: number): Feeds {
  const rowOf = new Map(ids.map((id, row) => [id, row]));
  const data = BigInt64Array.from(tokens, (id) => BigInt(rowOf.get(id)!));
  return { input_ids: { type: 'int64', data, shape: [tokens.length / length, length] } };
}

/** Token ids of texts that are no texts, one as short as can be, one too long: (8, length). */
export function drawnTokens({ text: { length, vocabulary } }: ModelConfig): Int32Array {
  const random = randomStream(1, 'texts');
  const tokens = new Int32Array(8 * length);
  for (let i = 0; i < 8; i++) {
    const end = Math.min(length - 1, Math.floor((i * length) / 7));
    for (let k = 0; k < end; k++) tokens[i * length + k] = 4 + random.below(vocabulary - 4);
    tokens[i * length + end] = eosId;
  }
  return tokens;
}
