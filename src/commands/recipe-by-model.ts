import { parameterSpecs } from '../model/parameters.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { type CheckpointOfRun, superBatch } from '../recipe/curation.ts';
import type { HeldModel } from '../recipe/models.ts';
import { filterRatioOf, naflexLengths, nextResolution } from '../recipe/task-sizes.ts';
import type { TaskName, TaskRecipe } from '../recipe/tasks.ts';
import { number } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';

/** What is asked for beside a task, as it was typed. */
export interface TaskOptions {
  /** What the phase goes on from. */
  readonly origin: HeldModel;
  readonly resolution?: string | undefined;
  readonly teacher?: { readonly from: CheckpointOfRun; readonly held: HeldModel } | undefined;
}

/** What a phase of a task has by its model, and what is said of it once the batch is known. */
export interface ByModel {
  readonly phase: Pick<TaskRecipe, 'vision' | 'curation'>;
  readonly notes: (batch: number) => readonly string[];
}

/** RecipeInvalid where a task does not go with the model, or with what is asked for. */
export function byModel(task: TaskName, options: TaskOptions): ByModel {
  const { name, model } = options.origin;
  if (model.vision.kind === 'naflex') return ofNaflex(task, options.origin);
  if (task === 'naflex') return onToNaflex(model);
  if (task === 'resolution') return larger(name, model, options.resolution);
  if (task === 'distill') return curated(options);
  return { phase: {}, notes: () => [] };
}

/** Why a task is not for a NaFlex model; the others train it on as one. */
const notOfNaflex: Partial<Record<TaskName, string>> = {
  naflex: 'is a NaFlex model already',
  resolution: 'is a NaFlex model, which sees pictures in any number of patches',
  distill: 'is a NaFlex model, and curation is of pictures of one size',
};

function ofNaflex(task: TaskName, { name, model }: HeldModel): ByModel {
  const why = notOfNaflex[task];
  if (why === undefined) return onToNaflex(model);
  throw new RunnerError(
    'RecipeInvalid',
    `--from is ${name}, which ${why}; allowed with --task ${task}: a model of one resolution; --task finetune trains it on as it is`,
  );
}

function onToNaflex({ vision }: ModelConfig): ByModel {
  const { lengths, ofPaper } = naflexLengths(vision);
  const own = Math.floor(vision.resolution / vision.patch) ** 2;
  const why = ofPaper
    ? 'those of SigLIP 2 (arXiv 2502.14786, 2.4.2)'
    : `as many times its own ${own} as those of SigLIP 2 are of 256 (arXiv 2502.14786, 2.4.2)`;
  return { phase: { vision: { naflex: { lengths } } }, notes: () => [`patches: ${lengths.join(', ')}, ${why}`] };
}

function larger(name: string, { vision }: ModelConfig, asked: string | undefined): ByModel {
  const { patch } = vision;
  const next = nextResolution(vision);
  const resolution = asked === undefined ? next.resolution : Number(asked);
  // A number as people write it: Number reads much else.
  const isOne = asked === undefined || /^\d{1,6}$/.test(asked);
  if (!isOne || resolution <= vision.resolution || resolution % patch !== 0)
    throw new RunnerError(
      'RecipeInvalid',
      `--resolution is ${asked}; allowed: a multiple of the patch of ${patch} above the ${vision.resolution} pixels of ${name}, such as ${next.resolution}`,
    );
  const [before, after] = [vision.resolution, resolution].map((side) => number(Math.floor(side / patch) ** 2));
  const why =
    asked !== undefined
      ? 'as --resolution says'
      : next.ofPaper
        ? 'the next of SigLIP 2 (arXiv 2502.14786, Table 1)'
        : 'one and a half times as many, as 384 is of 256 in SigLIP 2';
  return {
    phase: { vision: { resolution } },
    notes: () => [
      `resolution: ${resolution} pixels after ${vision.resolution}, ${why}; ${after} patches after ${before}`,
    ],
  };
}

function curated({ origin, teacher }: TaskOptions): ByModel {
  const { from, held } = teacher!;
  if (held.name === origin.name)
    throw new RunnerError(
      'RecipeInvalid',
      `--teacher is ${held.name}, as --from is; allowed: another model, larger or trained for longer, by which examples are chosen`,
    );
  const filterRatio = filterRatioOf(origin.model.vision);
  const [teachers, own] = [held, origin].map(({ model }) => parametersOf(model)) as [number, number];
  const size = `${number(teachers)} parameters, and ${origin.name} ${number(own)}`;
  return {
    phase: { curation: { teacher: from, filterRatio } },
    notes: (batch) => [
      `super-batch: ${number(superBatch({ filterRatio }, batch))} examples for a batch of ${batch}, as of ${filterRatio === 0.5 ? 'B/16' : 'B/32'} in SigLIP 2 (arXiv 2502.14786, 2.5)`,
      teachers > own
        ? `teacher: ${held.name} has ${size}; before the phase it embeds every example once`
        : `look at this: the teacher ${held.name} has ${size}; a larger one is usual, So400m for B in SigLIP 2`,
    ],
  };
}

/** With the whole table of tokens. */
const parametersOf = (model: ModelConfig): number =>
  parameterSpecs(model).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
