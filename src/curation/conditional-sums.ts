import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { Tensor } from '@tensorflow/tfjs';
import type { ProgramDefinition, Signature, TensorSpec, Values } from '../compile/definition.ts';
import { compile } from '../compile/program.ts';
import { tf } from '../runtime/tensorflow.ts';
import { modelsOf, type ScoredBy, type ScoreKind, type ScoringModel } from './pair-scores.ts';

export interface SumsSettings {
  readonly scores: ScoreKind;
  /** Columns E of the embeddings, by model. */
  readonly widths: Readonly<Record<ScoringModel, number>>;
  readonly candidates: number;
  /** The most of them that are chosen at once. */
  readonly chunk: number;
}

export interface SumsOptions {
  /** Open candidates of one call; as many as `tileElements` allow if not given. */
  readonly tile?: number;
  /** See `CompileOptions`. */
  readonly fuseFrom?: number;
}

/** What newly chosen candidates add to the score of the others, given them (arXiv 2406.17711). */
export interface ConditionalSums {
  /** logits_j += sum over i in `chosen` of s_ij + s_ji, for j in `open`. The event loop gets its turn between tiles. */
  add(logits: Float64Array, chosen: Int32Array, open: Int32Array, models: ScoredBy): Promise<void>;
  dispose(): void;
}

/** Four tiles of float32 exist at a time for learnability: 17 MB. Twice as large ones are 8 % faster. */
const tileElements = 2 ** 20;
const sides = ['images', 'texts'] as const;
const scalar: TensorSpec = { shape: [], dtype: 'float32' };

const tileOf = ({ candidates, chunk }: SumsSettings) =>
  Math.min(candidates, Math.max(128, Math.floor(tileElements / chunk)));

/** The pieces of state, and of feeds, that are rows of embeddings. */
const rowNames = (scores: ScoreKind) =>
  modelsOf(scores).flatMap(([model]) => sides.map((side) => ({ model, side, name: `${model}/${side}` })));

/** What is compiled: the sums over one chunk for one tile of open candidates. */
export function sumsDefinition(settings: SumsSettings, tile = tileOf(settings)): ProgramDefinition {
  const { chunk, widths } = settings;
  const models = modelsOf(settings.scores);
  const rows = (count: number) =>
    Object.fromEntries(
      rowNames(settings.scores).map(({ model, name }): [string, TensorSpec] => [
        name,
        { shape: [count, widths[model]], dtype: 'float32' },
      ]),
    );
  const scalars = Object.fromEntries(
    models.flatMap(([model]) => [temperature(model), bias(model)].map((n) => [n, scalar])),
  );
  const sum: Signature = {
    feeds: { ...rows(tile), ...scalars },
    run(state, feeds) {
      // All matmuls first: the loops that follow are then one.
      const cosines = models.map(([model]) =>
        sides.map((side, i) => {
          const other = sides[1 - i];
          return tf.matMul(state[`${model}/${side}`]!, feeds[`${model}/${other}`]!, false, true);
        }),
      );
      const terms = models.map(([model, sign], i) => {
        const [a, b] = cosines[i]!.map((cosine) =>
          softplus(cosine.mul(feeds[temperature(model)]!).add(feeds[bias(model)]!)),
        );
        return a!.add(b!).mul(sign);
      });
      // Columns first: only columns are summed side by side.
      return {
        outputs: {
          sums: terms
            .reduce((x, y) => x.add(y))
            .mul(state.counts!)
            .sum(0),
        },
      };
    },
  };
  return { state: { ...rows(chunk), counts: { shape: [chunk, 1], dtype: 'float32' } }, signatures: { sum } };
}

/**
 * Compiles the sums. The embeddings stay where they are, in memory of JavaScript; on the device are the rows of one
 * chunk, and those of one tile of open candidates at a time. Off-diagonal scores alone are summed, each tile in a
 * fixed order.
 */
export function openConditionalSums(settings: SumsSettings, options: SumsOptions = {}): ConditionalSums {
  const { chunk, widths } = settings;
  const { tile = tileOf(settings), fuseFrom } = options;
  const models = modelsOf(settings.scores);
  const names = rowNames(settings.scores);
  const program = compile(sumsDefinition(settings, tile), fuseFrom === undefined ? {} : { fuseFrom });
  const buffers = (count: number) =>
    Object.fromEntries(names.map(({ model, name }) => [name, new Float32Array(count * widths[model])]));
  const [chunkRows, tileRows] = [buffers(chunk), buffers(tile)];

  const gather = (into: Record<string, Float32Array>, rows: Int32Array, from: ScoredBy) => {
    for (const { model, side, name } of names) {
      copyRows(into[name]!, from[model]![side], rows, widths[model]);
    }
  };

  return {
    async add(logits, chosen, open, from) {
      gather(chunkRows, chosen, from);
      // The rows after those of a smaller chunk are of an earlier one, and count nothing.
      program.write({
        ...chunkRows,
        counts: Float32Array.from({ length: chunk }, (_, i) => (i < chosen.length ? 1 : 0)),
      });
      const feeds: Record<string, Values[string]> = { ...tileRows };
      for (const [model] of models) {
        const { logitScale, logitBias } = from[model]!;
        feeds[temperature(model)] = Float32Array.of(Math.exp(logitScale));
        feeds[bias(model)] = Float32Array.of(logitBias);
      }
      for (let first = 0; first < open.length; first += tile) {
        const part = open.subarray(first, first + tile);
        gather(tileRows, part, from);
        const { sums } = program.run('sum', feeds);
        for (const [i, candidate] of part.entries()) logits[candidate]! += sums![i]!;
        await yieldToEvents();
      }
    },
    dispose: () => program.dispose(),
  };
}

const temperature = (model: ScoringModel) => `${model}/temperature`;
const bias = (model: ScoringModel) => `${model}/bias`;

/** In one fused loop on CPUs a little faster than the op Softplus, and as exact: 2e-7 of the value. */
const softplus = (x: Tensor): Tensor => x.maximum(0).add(x.abs().neg().exp().log1p());

/** Rows of (B, E) by number, one after another; neighbours are copied as one piece. */
function copyRows(into: Float32Array, from: Float32Array, rows: Int32Array, width: number): void {
  for (let i = 0; i < rows.length; ) {
    let end = i + 1;
    while (end < rows.length && rows[end] === rows[end - 1]! + 1) end++;
    into.set(from.subarray(rows[i]! * width, (rows[end - 1]! + 1) * width), i * width);
    i = end;
  }
}
