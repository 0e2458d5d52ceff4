import { readCommit } from '../checkpoint/commits.ts';
import { parseRun, readDocument, toRef } from '../checkpoint/documents.ts';
import { runKey } from '../checkpoint/keys.ts';
import { findNamed } from '../checkpoint/names.ts';
import type { Signature } from '../compile/definition.ts';
import { compile } from '../compile/program.ts';
import type { Used } from '../costs/used.ts';
import { heldModel } from '../plan/held-model.ts';
import { withModels } from '../recipe/models.ts';
import { parseRecipe } from '../recipe/parse.ts';
import type { Recipe } from '../recipe/schema.ts';
import { phaseSettings } from '../recipe/settings.ts';
import { readHistory } from '../report/read/history.ts';
import { RunnerError } from '../runtime/errors.ts';
import { randomStream } from '../runtime/random.ts';
import { tf } from '../runtime/tensorflow.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { checkpointBytes } from '../train/checkpoint-bytes.ts';
import { workloadOf } from '../train/workload.ts';

/** How fast a phase is taken to go. */
export interface Speed {
  /** Floating-point operations a second. */
  readonly flops: number;
  /** Where that comes from. */
  readonly said: string;
  /** What the phase that it is of used in all, and the size of its checkpoints; absent where nobody counted. */
  readonly recorded?: { readonly used: Used; readonly bytesPerCheckpoint: number };
}

export const speedHelp =
  'tell the time: operations a second, such as 2e11; RUN/PHASE, as fast as that was; or measure, on this machine';

/** What `--speed` means. */
export async function readSpeed(what: string, precision: Recipe['precision'], open: () => ObjectStore): Promise<Speed> {
  if (what === 'measure') {
    const each = (precision === 'auto' ? (['f32', 'bf16'] as const) : [precision]).map(measured);
    return each.reduce((best, speed) => (speed.flops > best.flops ? speed : best));
  }
  if (/^[^/]+\/[^/]+$/.test(what)) return recorded(open(), what);
  const flops = Number(what);
  if (flops > 0 && Number.isFinite(flops)) return { flops, said: 'as --speed says' };
  throw new RunnerError(
    'RecipeInvalid',
    `--speed is ${what}; allowed: a number of operations a second, RUN/PHASE, or measure`,
  );
}

/** Steps are not matmuls alone. */
const shareOfMatmul = 0.5;
const side = 1024;

function measured(precision: 'f32' | 'bf16'): Speed {
  const matrix = { shape: [side, side], dtype: 'float32' } as const;
  const product: Signature = {
    feeds: {},
    run: ({ a, b }) => ({ outputs: { corner: tf.matMul(a!, tf.matMul(a!, b!)).slice([0, 0], [1, 1]) } }),
  };
  const program = compile({ state: { a: matrix, b: matrix }, signatures: { product } }, { precision });
  const random = randomStream(1, 'matmul');
  const values = () => Float32Array.from({ length: side * side }, () => random.normal() / Math.sqrt(side));
  program.write({ a: values(), b: values() });
  let best = Number.POSITIVE_INFINITY;
  for (const began = performance.now(); performance.now() - began < 2000; ) {
    const start = performance.now();
    program.run('product', {});
    best = Math.min(best, performance.now() - start);
  }
  const flops = (shareOfMatmul * 2 * 2 * side ** 3) / (best / 1000);
  return { flops, said: `half of what a matmul in ${precision} reaches on this machine` };
}

/** The pace that a checkpoint recorded, in operations of its own phase. */
async function recorded(store: ObjectStore, what: string): Promise<Speed> {
  const at = await findNamed(store, what);
  const commit = await readCommit(store, at);
  const { examplesPerSecond } = commit.metrics;
  const found = await readDocument(store, runKey(at.run));
  const written = found && 'bytes' in found && parseRun(found.bytes).value ? JSON.parse(found.bytes.toString()) : null;
  const name = `${at.run}/${at.phase}@${at.step}`;
  if (!written?.recipe || !(examplesPerSecond > 0))
    throw new RunnerError(
      'RecipeInvalid',
      `--speed is ${what}, and ${name} has recorded no pace; name a phase that was trained`,
    );
  const recipe = parseRecipe(written.recipe);
  const held = await heldModel(store, toRef(commit));
  const resolved = withModels(recipe, new Map(recipe.phases.map((phase) => [phase.name, held])));
  const phase = resolved.phases.find((one) => one.name === at.phase);
  if (!phase)
    throw new RunnerError('RecipeInvalid', `--speed is ${what}, and the recipe of ${at.run} has no such phase`);
  const settings = phaseSettings(resolved, phase, { examples: 1e9, vocabulary: held.vocabulary });
  // Pictures that were computed to be kept are not counted: how many of them came twice is not recorded.
  const { flopsPerExample } = workloadOf(settings);
  const { used, steps } = await readHistory(store, at, []);
  const said = `as fast as ${name} was`;
  if (!used?.ms.trained || !steps) return { flops: examplesPerSecond * flopsPerExample, said };
  // Over the whole phase, with its pauses for data and for snapshots, where somebody has counted.
  const flops = (steps * phase.batch * flopsPerExample) / (used.ms.trained / 1000);
  return { flops, said, recorded: { used, bytesPerCheckpoint: checkpointBytes(settings).each } };
}
