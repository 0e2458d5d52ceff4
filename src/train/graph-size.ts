import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { lossChunks } from './chunks.ts';
import { passesOf } from './passes.ts';
import { phaseState } from './phase-state.ts';

/** Nodes, as they were counted in graphs (test/train/graph-size.test.ts holds the sum to them). */
const nodesOf = {
  /** A variable, and what writes and reads it from outside. */
  piece: 7,
  /** A new value of a parameter and of its moments. */
  update: 12,
  /** Norms of a parameter and of what moved it, for figures. */
  watched: 18,
  /** A layer forward, with its gradient, and with what is computed again. */
  forward: 25,
  trained: 92,
  again: 23,
  /** What else a signature has. */
  rest: 60,
  /** A chunk of a loss. */
  sigmoid: 11,
  bank: 11,
  captioning: 22,
  localToGlobal: 80,
  maskedPrediction: 80,
} as const;

/** Nodes of the graph of a step: they grow with parameters, layers, lengths of NaFlex, and chunks of losses. */
export function graphNodes(settings: PhaseSettings): number {
  const { accumulate, remat, curation, batches, model, objectives } = settings;
  const { pieces, parameters, frozen, taught, averaged } = phaseState(settings);
  const state = Object.keys(pieces).length;
  const accumulates = accumulate > 1;
  const updated = parameters.length - frozen.size;
  const sums = accumulates ? updated : 0;
  let nodes = nodesOf.piece * (state + sums) + nodesOf.watched * parameters.length;
  for (const { count, length } of new PhaseSteps(batches).shapes()) {
    // Reads, writes and the update; micro-batches read parameters and sums again, and set the sums to zero.
    nodes += nodesOf.rest + 2 * (state + sums) + nodesOf.update * updated + 3 * (taught.length + averaged.length);
    if (accumulates) nodes += 2 * nodesOf.rest + 6 * updated;
    for (const { size, reach } of passesOf(settings, length)) {
      const once = nodesOf.trained + (remat === 'blocks' ? nodesOf.again : 0);
      nodes += reach.through * once + (size.depth - reach.through) * nodesOf.forward;
      nodes += size.depth * (accumulates && reach.any && objectives.sigmoid ? nodesOf.forward : 0);
    }
    for (const { loss, chunks } of lossChunks(settings, count)) nodes += chunks * nodesOf[loss];
  }
  if (curation) nodes += parameters.length + (model.vision.depth + model.text.depth) * nodesOf.forward;
  return nodes;
}
