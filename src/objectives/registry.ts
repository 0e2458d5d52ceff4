import type { ObjectiveSettings } from '../recipe/objective-settings.ts';
import { captioning } from './captioning.ts';
import { hardNegatives } from './hard-negatives.ts';
import { localToGlobal } from './local-to-global.ts';
import { maskedPrediction } from './masked-prediction.ts';
import type { Objective } from './objective.ts';
import { sigmoid } from './sigmoid.ts';

export type ObjectiveName = keyof ObjectiveSettings;

/** Every objective by its name in a recipe. */
export const objectives: { readonly [K in ObjectiveName]-?: Objective<NonNullable<ObjectiveSettings[K]>> } = {
  sigmoid,
  captioning,
  localToGlobal,
  maskedPrediction,
  hardNegatives,
};

/** An objective that is on, with its settings. */
export interface ActiveObjective {
  readonly name: ObjectiveName;
  readonly objective: Objective<{ readonly weight: number }>;
  readonly settings: { readonly weight: number };
}

/** The objectives that are on, in the order of the registry. */
export function activeObjectives(settings: ObjectiveSettings): ActiveObjective[] {
  return (Object.keys(objectives) as ObjectiveName[]).flatMap((name) => {
    const own = settings[name];
    // The settings of an objective meet only that objective: see the type of ObjectiveSettings.
    const objective = objectives[name] as unknown as ActiveObjective['objective'];
    return own === undefined ? [] : [{ name, objective, settings: own }];
  });
}
