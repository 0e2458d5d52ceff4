import type { Tensor } from '@tensorflow/tfjs';
import type { Signature, TensorSpec, Values } from '../compile/definition.ts';
import { fusedFrom } from '../compile/trace.ts';
import { type ParameterPart, partOf } from '../model/parameter-parts.ts';
import { lastUpdateOf, type StepScalars } from '../optimiser/optimiser.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { tf } from '../runtime/tensorflow.ts';
import { exampleFeeds, sayingsOf } from './losses.ts';
import type { PhaseState } from './phase-state.ts';
import { ownCorrections, type Updates, updatedParameters } from './updates.ts';

/**
 * Figures that take a pass over all parameters, or one of the teacher, and so are made at some steps alone: by entries of
 * the program beside the step, which they leave as it is.
 */

/** Whether they are made after a step. By its number, so that resumes make them at the same ones. */
export const isWatched = (step: number): boolean => step % 100 === 0;

/** Elements of a parameter from which its chain is compiled: for a smaller one that takes longer than it ever saves. */
const worthCompiling = 2 ** 18;

/** The parts that the parameters of a phase have, in their order, with those parameters. */
function partsOf({ parameters }: PhaseState): (readonly [ParameterPart, PhaseState['parameters']])[] {
  const parts = [...new Set(parameters.map(({ name }) => partOf(name)))];
  return parts.map((part) => [part, parameters.filter(({ name }) => partOf(name) === part)]);
}

/** Norms of the parameters as they are, and of what the last step took off them: (P) each, by part. */
export function normsSignature(
  { optimizer }: PhaseSettings,
  phase: PhaseState,
  updates: Updates,
  feeds: Readonly<Record<string, TensorSpec>>,
): Signature {
  return {
    feeds,
    run(state, given) {
      const { schedule, correction1, correction2 } = given as Record<keyof StepScalars<unknown>, Tensor>;
      const scalars = { schedule, correction1, correction2 };
      const corrected = ownCorrections(phase, updates, given);
      const updated = new Set(updatedParameters(phase, updates).map(({ name }) => name));
      const lastUpdate = (spec: PhaseState['parameters'][number]) =>
        updated.has(spec.name)
          ? lastUpdateOf(spec, optimizer, state, { ...scalars, ...corrected.get(spec.name) })
          : state[spec.name]!.mul(0);
      const parts = partsOf(phase);
      const norms = (of: (spec: PhaseState['parameters'][number]) => Tensor) =>
        tf.stack(parts.map(([, specs]) => tf.stack(specs.map((spec) => squares(of(spec)))).sum())).sqrt();
      return fusedFrom(worthCompiling, () => ({
        outputs: {
          parameters: norms(({ name }) => state[name]!),
          updates: norms(lastUpdate),
        },
      }));
    },
  };
}

// Columns first: XLA adds one element after another, and only columns side by side.
const squares = (x: Tensor): Tensor => x.square().sum(-1).sum();

/** `norm/parameters/<part>` and `norm/updates/<part>`. */
export function normFigures(phase: PhaseState, norms: Values): Record<string, number> {
  const parts = partsOf(phase);
  const all = Object.entries(norms).flatMap(([of, values]) =>
    parts.map(([part], i) => [`norm/${of}/${part}`, values[i]!] as const),
  );
  return Object.fromEntries(all);
}

/** What the teacher says of `count` images: `<objective>/mean` (K) and `<objective>/entropy`. */
export function teacherSignature(settings: PhaseSettings, phase: PhaseState, count: number): Signature {
  const { globalView } = exampleFeeds(settings, phase, { count, length: null });
  return {
    feeds: { globalView: globalView! },
    run(state, feeds) {
      const said = Object.entries(sayingsOf(settings, phase, state, feeds));
      const outputs = said.flatMap(([name, { mean_K, entropy }]) => [
        [`${name}/mean`, mean_K],
        [`${name}/entropy`, entropy],
      ]);
      return { outputs: Object.fromEntries(outputs) };
    },
  };
}

/**
 * How much the teacher says, in nats, of micro-batches of one size: `<objective>/teacherEntropy`, the mean entropy of what
 * it says of one row, `<objective>/teacherMeanEntropy`, the entropy of the mean of all, and what that is more,
 * `<objective>/teacherInformation`: the mutual information of rows and prototypes. It is zero where the teacher says the
 * same of all, whether that is one prototype or every prototype alike (DINO, arXiv 2104.14294, figure 7), and at most the
 * logarithm of the number of rows.
 */
export function teacherFigures(said: readonly Values[]): Record<string, number> {
  const names = Object.keys(said[0] ?? {}).flatMap((key) => (key.endsWith('/entropy') ? [key.slice(0, -8)] : []));
  const figures = names.flatMap((name) => {
    const each = said.reduce((sum, one) => sum + one[`${name}/entropy`]![0]!, 0) / said.length;
    const mean = Float64Array.from(said[0]![`${name}/mean`]!, (_, k) =>
      said.reduce((sum, one) => sum + one[`${name}/mean`]![k]!, 0),
    );
    const total = mean.reduce((sum, p) => sum + p, 0);
    const whole = mean.reduce((sum, p) => (p > 0 ? sum - (p / total) * Math.log(p / total) : sum), 0);
    return [
      [entropyOf(name), each],
      [`${name}/teacherMeanEntropy`, whole],
      [informationOf(name), Math.max(0, whole - each)],
    ] as const;
  });
  return Object.fromEntries(figures);
}

/** The figure of the mean entropy of what the teacher of an objective says. */
export const entropyOf = (objective: string) => `${objective}/teacherEntropy`;
/** The figure that says how much the teacher of an objective says. */
export const informationOf = (objective: string) => `${objective}/teacherInformation`;
