import { shareAmong } from '../numbers/places.ts';
import type { Figures, Found, Outcome } from './contract.ts';

/** What a classifier makes of examples: of each the place of its best right class, -1 where it has none. */
export interface Classified {
  readonly places: Int32Array;
  readonly labels: readonly (readonly number[])[];
  readonly classes: number;
}

/** `top<k>`, `mean_per_class` (of the classes that have examples; scikit-learn's balanced accuracy) and chance. */
export function accuracy({ places, labels, classes }: Classified, top: readonly number[]): Figures {
  const counted = places.reduce((sum, place) => sum + (place >= 0 ? 1 : 0), 0);
  const known = { classes, examples: counted, left_out: places.length - counted };
  if (counted === 0) return known;
  const hits = new Float64Array(classes);
  const all = new Float64Array(classes);
  let right = 0;
  for (const [i, own] of labels.entries()) {
    if (places[i]! < 0) continue;
    right += own.length;
    for (const label of own) {
      all[label]!++;
      if (places[i] === 0) hits[label]!++;
    }
  }
  const recalls = [...all.keys()].flatMap((label) => (all[label]! > 0 ? hits[label]! / all[label]! : []));
  const chance = right / counted / classes;
  const tops = Object.fromEntries(top.map((k) => [`top${k}`, shareAmong(places, k)]));
  return {
    ...known,
    ...tops,
    mean_per_class: recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length,
    chance,
  };
}

/** Which examples were right, for intervals: `top<k>` below `path`. */
export function hitsOf(places: Int32Array, top: readonly number[], path = ''): Found['outcomes'] {
  const pictures = Int32Array.from([...places.keys()].filter((i) => places[i]! >= 0));
  return Object.fromEntries(
    top.map((k): [string, Outcome] => [
      `${path}top${k}`,
      { values: Float32Array.from(pictures, (i) => (places[i]! < k ? 1 : 0)), pictures },
    ]),
  );
}
