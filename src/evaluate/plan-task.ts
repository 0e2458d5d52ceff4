import { readClassnames } from '../data/index/classnames.ts';
import { indexData } from '../data/index/index-data.ts';
import { type DataIndex, pixelKinds } from '../data/index/types.ts';
import { patchGrid } from '../model/parameters.ts';
import { foreign, type ReadSettings } from '../recipe/reading.ts';
import type { Resize } from '../recipe/schema.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { requireTwo } from './evaluators/bias.ts';
import type { Needs } from './evaluators/contract.ts';
import { requireClasses } from './evaluators/open-segmentation.ts';
import { namesOf, needsOf } from './evaluators/registry.ts';
import type { EvaluatorName } from './evaluators/settings.ts';
import { type ClassSpec, classesOfPart, examplesOfPart, type ImageSpec, type SaidSpec } from './features/spec.ts';
import type { View } from './features/view.ts';
import { captionsThatCount } from './image-captions.ts';
import type { PlannedFigure } from './task-plan.ts';
import type { Task, TaskSet } from './tasks/task.ts';

/** What is evaluated, and how its training showed it pictures. */
export interface Evaluated {
  readonly model: ImageSpec['model'];
  readonly resize: Resize;
  /** Pictures of a part of the features, where another number than usual is wanted. */
  readonly perPart?: number | undefined;
  /** Finds its decoder; null where it has none. Asked where an evaluator needs one. */
  readonly decoder: () => Promise<Omit<SaidSpec, 'tasks'> | null>;
}

/** What a task comes to for a model: which features, by which evaluators. RecipeInvalid or DataContract. */
export async function specsOf(store: ObjectStore, task: Task, { model, resize, perPart, decoder }: Evaluated) {
  const views = viewsOf(task, model.config);
  const names = namesOf(task);
  const classes = needsOf(task, names, true).classes ? await classesOf(store, task, model) : null;
  const { openSegmentation, bias } = task.evaluators;
  if (bias) requireTwo(classes?.names ?? null);
  if (openSegmentation) requireClasses(openSegmentation, classes?.names ?? null);
  const needs = needsOf(task, names, classes !== null);
  const said = needs.said && { ...(await requireDecoder(decoder, task, names)), tasks: needs.said };
  const learning = names.filter((name) => needsOf(task, [name], classes !== null).train);
  const setOf = async (set: TaskSet, needs: Needs) => {
    const pixels = pixelKinds.filter((kind) => needs[kind]);
    const index = await indexData(store, set.data, foreign(set.read), { pixels });
    const { seed } = set.sample;
    const grid = (needs.patches || needs.aligned) && model.config.vision.kind === 'naflex';
    const further = {
      ...(pixels.length > 0 && { pixels }),
      ...(grid && { grid: true as const }),
      ...(needs.aligned && { aligned: true as const }),
      ...(needs.head && { head: true as const }),
    };
    const spec: ImageSpec = {
      model,
      data: { fingerprint: index.fingerprint, read: index.read ?? null },
      sample: { of: index.examples, examples: Math.min(index.examples, set.sample.examples), seed },
      views,
      resize: task.resize ?? resize,
      patches: needs.patches === true,
      ...(needs.truth && { truth: true as const }),
      ...further,
      perPart: perPart ?? examplesOfPart(model.config, views, needs.patches === true, further),
      captions: needs.captions ? captionsOf(task) : null,
      ...(needs.texts && { texts: { languages: task.languages, most: captionsOf(task).most } }),
      ...(needs.said && said && { said }),
      text: task.text,
    };
    return { spec, index: index.document satisfies DataIndex['document'] };
  };
  const test = await setOf(task, needs);
  const { captions: _, ...ofTrain } = needsOf(task, learning, classes !== null);
  const train = task.train ? await setOf(task.train, ofTrain) : null;
  const figures: PlannedFigure[] = names.flatMap((evaluator) => views.map((view) => ({ evaluator, view })));
  return { test, train, classes, figures };
}

/** RecipeInvalid where the model has none. */
async function requireDecoder(decoder: Evaluated['decoder'], task: Task, names: readonly EvaluatorName[]) {
  const found = await decoder();
  if (found) return found;
  const asks = names.filter((name) => needsOf(task, [name], true).said);
  throw new RunnerError(
    'RecipeInvalid',
    `the task can't be done: evaluators.${asks.join(' and evaluators.')} ask the decoder of the model, and it has none; ` +
      'evaluate a checkpoint RUN/PHASE@STEP of a phase whose objectives have captioning',
  );
}

/** Which captions of pictures count, and how they are put into words. */
export function captionsOf({
  languages,
  captions,
  read,
}: {
  readonly languages: readonly string[];
  readonly captions?: number | undefined;
  readonly read?: ReadSettings | undefined;
}): NonNullable<ImageSpec['captions']> {
  const { templates, fields } = read ?? {};
  const said = templates || fields ? { ...(templates && { templates }), ...(fields && { fields }) } : null;
  return { languages, most: captions ?? captionsThatCount(read) ?? 1, read: said };
}

function viewsOf({ views }: Task, config: ImageSpec['model']['config']): View[] {
  const { kind, resolution, patch } = config.vision;
  const fail = (problem: string) => new RunnerError('RecipeInvalid', `the task can't be done: ${problem}`);
  if (!views) return [kind === 'naflex' ? patchGrid(config) ** 2 : resolution];
  if ('patches' in views) {
    if (kind !== 'naflex')
      throw fail(
        `views.patches is given, and the model sees squares; allowed: {"resolutions": [${resolution}]}, multiples of ${patch}`,
      );
    return distinct(views.patches);
  }
  if (kind === 'naflex')
    throw fail(
      `views.resolutions is given, and the model is NaFlex; allowed: {"patches": [${patchGrid(config) ** 2}]}`,
    );
  const small = views.resolutions.find((one) => one < patch);
  if (small !== undefined) throw fail(`views.resolutions has ${small}, less than a patch of ${patch} pixels`);
  return distinct(views.resolutions);
}

const distinct = (views: readonly View[]): View[] => [...new Set(views)].sort((a, b) => a - b);

/** Null where the task names no classes. */
async function classesOf(store: ObjectStore, task: Task, model: ImageSpec['model']): Promise<ClassSpec | null> {
  const { classes, read, text } = task;
  const said = classes.names ?? read?.classnames;
  if (said === undefined) return null;
  const lines = async (of: string | readonly string[]) =>
    typeof of === 'string' ? (await readClassnames(store, of)).classnames : of;
  const names = await lines(said);
  const templates = await lines(classes.templates ?? read?.templates ?? []);
  const without = templates.find((template) => !/\{c?\}/.test(template));
  if (without !== undefined)
    throw new RunnerError(
      'RecipeInvalid',
      `classes.templates: ${JSON.stringify(without.slice(0, 60))} has no place for the name; allowed: a text with {} or {c} on each line`,
    );
  const perPart = classesOfPart(templates);
  return { model, names, templates: templates.map((template) => template.replace('{c}', '{}')), perPart, text };
}
