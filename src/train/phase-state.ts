import type { TensorSpec } from '../compile/definition.ts';
import { adapterSpecs, isAdapter } from '../model/adapters.ts';
import { type ParameterSpec, parameterSpecs } from '../model/parameters.ts';
import type { StateSpec } from '../objectives/objective.ts';
import { type ActiveObjective, activeObjectives } from '../objectives/registry.ts';
import { firstMoment, secondMoment, startCopy } from '../optimiser/optimiser.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { decayedByLayer, isFrozen } from '../recipe/trained.ts';

/** The EMA copy of a parameter. */
export const teacherCopy = (name: string) => `teacher/${name}`;
/** The moving average of a parameter; in files it has the name of the parameter (`state.ts`). */
export const emaCopy = (name: string) => `ema/${name}`;
/** How many steps the averages have seen. */
export const emaSteps = 'ema/steps';
/** A piece of state that an objective computes, such as a centre. */
export const computedState = (name: string) => `state/${name}`;

/** What the state of a phase consists of: its objectives decide. */
export interface PhaseState {
  readonly objectives: readonly ActiveObjective[];
  /** The two towers, what `model.safetensors` holds. */
  readonly towers: readonly ParameterSpec[];
  /** All parameters: the towers, their adapters, then what the objectives add. */
  readonly parameters: readonly ParameterSpec[];
  /** The names of those that the phase leaves as they are: they have no moments. */
  readonly frozen: ReadonlySet<string>;
  /** Those that are pulled to what they were at the start, of which the state has copies. */
  readonly anchored: readonly ParameterSpec[];
  /** The names of those that an objective reads. */
  readonly read: ReadonlySet<string>;
  /** Those of them that the teacher has a copy of. */
  readonly taught: readonly ParameterSpec[];
  /** Those that the state has a moving average of: all that are trained, or none. */
  readonly averaged: readonly ParameterSpec[];
  readonly computed: readonly StateSpec[];
  /** Every piece that a checkpoint holds, by key. */
  readonly pieces: Readonly<Record<string, TensorSpec>>;
}

/** The teacher follows the vision tower with its MAP head, and what the objectives name (spec 3.5). */
export function phaseState(settings: PhaseSettings): PhaseState {
  const { model } = settings;
  const objectives = activeObjectives(settings.objectives);
  const towers = parameterSpecs(model, settings.init);
  const own = objectives.map(({ objective, settings }) => objective.parameters(settings, model));
  const adapters = settings.lora ? adapterSpecs(model, settings.lora) : [];
  const parameters = decayedByLayer([...towers, ...adapters, ...own.flat()], settings.optimizer.layerDecay);
  const frozen = new Set(parameters.map(({ name }) => name).filter((name) => isFrozen(settings, name)));
  const read = [
    ...towers.map(({ name }) => name).filter((name) => objectives.some(({ objective }) => objective.reads(name))),
    ...[...adapters, ...own.flat()].map(({ name }) => name),
  ];
  const teaching = objectives.flatMap(({ objective }, i) =>
    objective.teaches ? own[i]!.filter(({ name }) => objective.teaches!(name)) : [],
  );
  const teaches = objectives.some(({ objective }) => objective.teaches !== undefined);
  const taught = teaches ? [...towers.filter(({ name }) => name.startsWith('vision_model.')), ...teaching] : [];
  const computed = objectives.flatMap(({ objective, settings }) => objective.state?.(settings, model) ?? []);
  const pieces: Record<string, TensorSpec> = {};
  const add = (key: string, shape: readonly number[]) => {
    if (pieces[key] !== undefined) throw new Error(`two objectives keep a piece of state named ${key}`);
    pieces[key] = { shape, dtype: 'float32' };
  };
  for (const { name, shape } of parameters) {
    add(name, shape);
    if (!frozen.has(name)) for (const key of [firstMoment(name), secondMoment(name)]) add(key, shape);
  }
  // Rows of tables of tokens come and go with the data.
  const anchored =
    settings.optimizer.startDecay === undefined
      ? []
      : parameters.filter(({ name, byToken }) => !byToken && !frozen.has(name) && !isAdapter(name));
  for (const { name, shape } of anchored) add(startCopy(name), shape);
  const averaged = settings.ema ? parameters.filter(({ name }) => !frozen.has(name)) : [];
  for (const { name, shape } of averaged) add(emaCopy(name), shape);
  if (settings.ema?.warmup) add(emaSteps, []);
  for (const { name, shape } of taught) add(teacherCopy(name), shape);
  for (const { name, shape } of computed) add(computedState(name), shape);
  return { objectives, towers, parameters, frozen, anchored, read: new Set(read), taught, averaged, computed, pieces };
}
