import type { Tensor } from '@tensorflow/tfjs';
import type { ProgramDefinition, TensorSpec, Values } from '../compile/definition.ts';
import { rangeOp } from '../compile/ops/range.ts';
import { compile } from '../compile/program.ts';
import { tf } from '../runtime/tensorflow.ts';
import { crossAttend, crossHeads, embed, feedForward, output, selfHeads } from './decoder.ts';
import { type DecoderSize, decoderSpecs } from './decoder-parameters.ts';
import { attend, keyMask, norm, type Parameters, parameter } from './layers.ts';
import type { ModelConfig } from './sizes.ts';

// Letters: B texts at a time, N patches of a picture, D width of the vision tower, H heads, L tokens of a text, V words.

/** Shapes of a graph that decodes. */
export interface GreedyShape {
  readonly batch: number;
  readonly patches: number;
}

/** A text that is to be said of a picture: `given` is what it begins with, such as a task's prefix. */
export interface Asked {
  readonly picture: number;
  readonly given: readonly number[];
}

/** Un-pooled features of pictures on the host: (n, N, D), and how many patches of each are no padding; absent: all are. */
export interface Looked {
  readonly encoded: Float32Array;
  readonly seen?: ArrayLike<number> | undefined;
}

/** A decoder on the device. */
export interface Speaker {
  /**
   * What the decoder says, the likeliest token at each place, the first of equals: for each that is asked a list of ids with
   * what was given, and its end when it came to one. The first input is 0, as in training, where targets are shifted right.
   */
  say(pictures: Looked, asked: readonly Asked[], end: number, pause?: () => Promise<void>): Promise<number[][]>;
  dispose(): void;
}

const memoryOf = (layer: number, which: string) => `kept/memory/${layer}/${which}`;
const ownOf = (layer: number, which: string) => `kept/own/${layer}/${which}`;
const hides = 'kept/hides';

/**
 * Keys and values of the pictures and of what was said are state of the graph: each place is computed once, and nothing but
 * ids leaves the device. `look` takes pictures in, `say` gives the next token of each.
 */
export function greedyDefinition(
  config: ModelConfig,
  { depth }: DecoderSize,
  { batch, patches }: GreedyShape,
): ProgramDefinition {
  const { vision, text } = config;
  const { heads, length, width } = text;
  const layers = Array.from({ length: depth }, (_, i) => i);
  const floats = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
  const parameters = decoderSpecs(config, { depth }).map(({ name, shape }) => [name, floats(...shape)] as const);
  const kept = layers.flatMap((i) =>
    ['keys', 'values'].flatMap((which) => [
      [memoryOf(i, which), floats(batch, heads, patches, width / heads)] as const,
      [ownOf(i, which), floats(batch, heads, length, width / heads)] as const,
    ]),
  );
  return {
    state: { ...Object.fromEntries([...parameters, ...kept]), [hides]: floats(batch, 1, 1, patches) },
    signatures: {
      look: {
        feeds: { encoded: floats(batch, patches, vision.width), seen: floats(batch, patches) },
        run(p, { encoded, seen }) {
          const rows = encoded!.reshape([batch * patches, vision.width]);
          const memories = layers.flatMap((i) => {
            const [keys, values] = crossHeads(p, `decoder.layers.${i}`, heads, rows, batch);
            return [
              [memoryOf(i, 'keys'), keys!],
              [memoryOf(i, 'values'), values!],
            ] as const;
          });
          const hidden = keyMask(seen!);
          return { outputs: { looked: hidden.sum() }, state: { ...Object.fromEntries(memories), [hides]: hidden } };
        },
      },
      say: {
        feeds: { ids: { shape: [batch, 1], dtype: 'int32' }, place: floats(1) },
        run(p, { ids, place }) {
          const places_L = rangeOp(length, 1, 'float32');
          const here_L1 = places_L.equal(place!).cast('float32').reshape([length, 1]) as Tensor;
          const notHere_L1 = tf.scalar(1).sub(here_L1);
          const later_111L = places_L.sub(place!).relu().mul(-1e9).reshape([1, 1, 1, length]) as Tensor;
          const position_1D = tf.matMul(here_L1, parameter(p, 'decoder.embed_positions.weight'), true, false);
          const state: Record<string, Tensor> = {};
          let x = embed(p, ids!, position_1D);
          for (const i of layers) {
            const layer = `decoder.layers.${i}`;
            const [q, k, v] = selfHeads(p, layer, heads, x, batch) as [Tensor, Tensor, Tensor];
            const all = ([['keys', k] as const, ['values', v] as const] as const).map(([which, now]) => {
              const next = p[ownOf(i, which)]!.mul(notHere_L1).add(now.mul(here_L1)) as Tensor;
              state[ownOf(i, which)] = next;
              return next;
            });
            x = x.add(output(p, `${layer}.self_attn`, attend(q, all[0]!, all[1]!, later_111L)));
            const memory = [p[memoryOf(i, 'keys')]!, p[memoryOf(i, 'values')]!];
            x = x.add(crossAttend(p, layer, heads, x, memory, p[hides]!));
            x = x.add(feedForward(p, layer, x));
          }
          return { outputs: { likeliest: likeliest(p, norm(p, 'decoder.layer_norm', x)) }, state };
        },
      },
    },
  };
}

/** (B, D) -> (B) float32: the first of the largest logits. Whole numbers up to 2^24 are exact. */
function likeliest(p: Parameters, hidden: Tensor): Tensor {
  const weight = parameter(p, 'decoder.lm_head.weight');
  const logits = tf.matMul(hidden, weight, false, true).add(parameter(p, 'decoder.lm_head.bias'));
  const vocabulary = weight.shape[0]!;
  const isLargest = logits.equal(logits.max(1, true)).cast('float32');
  const fromBehind = tf.scalar(vocabulary).sub(rangeOp(vocabulary, 1, 'float32'));
  return tf.scalar(vocabulary).sub(isLargest.mul(fromBehind).max(1));
}

/** Puts a decoder on the device. `values`: every parameter of `decoderSpecs`. */
export function openSpeaker(values: Values, config: ModelConfig, size: DecoderSize, shape: GreedyShape): Speaker {
  const definition = greedyDefinition(config, size, shape);
  const program = compile(definition);
  const empty = Object.entries(definition.state).filter(([name]) => name.startsWith('kept/'));
  program.write(Object.fromEntries(decoderSpecs(config, size).map(({ name }) => [name, values[name]!])));
  program.write(Object.fromEntries(empty.map(([name, { shape }]) => [name, new Float32Array(sizeOf(shape))])));
  const { batch, patches } = shape;
  const { length } = config.text;
  const row = patches * config.vision.width;

  async function sayBatch(
    { encoded, seen }: Looked,
    asked: readonly Asked[],
    end: number,
    pause: () => Promise<void>,
  ): Promise<number[][]> {
    const own = new Float32Array(batch * row);
    // What fills up a batch sees something as well, or its scores would be no numbers.
    const mask = new Float32Array(batch * patches).fill(1);
    for (const [i, { picture }] of asked.entries()) {
      own.set(encoded.subarray(picture * row, (picture + 1) * row), i * row);
      if (seen) mask.fill(0, i * patches + seen[picture]!, (i + 1) * patches);
    }
    program.run('look', { encoded: own, seen: mask });
    const said: number[][] = asked.map(() => []);
    const ids = new Int32Array(batch);
    for (let place = 0; place < length; place++) {
      const next = program.run('say', { ids, place: Float32Array.of(place) }).likeliest!;
      for (const [i, text] of said.entries()) {
        ids[i] = asked[i]!.given[place] ?? next[i]!;
        if (text.at(-1) !== end) text.push(ids[i]!);
      }
      if (said.every((text) => text.at(-1) === end)) break;
      await pause();
    }
    return said;
  }

  return {
    async say(pictures, asked, end, pause = async () => {}) {
      const said: number[][] = [];
      for (let first = 0; first < asked.length; first += batch)
        said.push(...(await sayBatch(pictures, asked.slice(first, first + batch), end, pause)));
      return said;
    },
    dispose: () => program.dispose(),
  };
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
