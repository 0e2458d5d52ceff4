import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { number } from '../runtime/count-text.ts';
import { graphNodes } from './graph-size.ts';
import { arrayProblem, gigabytes } from './host-bytes.ts';
import { phaseState } from './phase-state.ts';
import { noUpdates, updatedParameters } from './updates.ts';

/**
 * Nodes that a graph may have. A node takes 0.3 ms to record and 6 kB of the heap of JavaScript, measured up to 66,000 of
 * them; the heap ends at 4 GB, so at some 700,000. Protocol buffers, of 2 GB, would hold 25 million.
 */
export const mostNodes = 250_000;
/** What Node 20 holds in one array. */
const mostArrayBytes = 2 ** 32;

/** Why a step can't be compiled, and what would help; null where it can. */
export function compileProblem(settings: PhaseSettings): string | null {
  return trainedProblem(settings) ?? arrayProblem(settings) ?? stateProblem(settings) ?? graphProblem(settings);
}

/** A phase trains something, and something reads it. */
function trainedProblem(settings: PhaseSettings): string | null {
  const phase = phaseState(settings);
  if (updatedParameters(phase, noUpdates).length > 0) return null;
  const objectives = phase.objectives.map(({ name }) => name).join(' and ');
  const left = phase.parameters.find(({ name }) => !phase.frozen.has(name));
  return left
    ? `phase ${settings.phase} trains nothing: ${objectives} reads neither ${left.name} nor anything else that train and freeze leave`
    : `phase ${settings.phase} trains nothing: train, freeze and multipliers of 0 leave no parameter`;
}

/** A piece of state is one array wherever it goes. */
function stateProblem(settings: PhaseSettings): string | null {
  const bytes = ([, { shape }]: [string, { readonly shape: readonly number[] }]) => shape.reduce((a, b) => a * b, 4);
  const [largest] = Object.entries(phaseState(settings).pieces).sort((a, b) => bytes(b) - bytes(a));
  if (!largest || bytes(largest) < mostArrayBytes) return null;
  const [name, { shape }] = largest;
  return `phase ${settings.phase} would train ${name} of [${shape.join(', ')}], ${gigabytes(bytes(largest))}, and an array holds at most ${gigabytes(mostArrayBytes)}; only a smaller one would do`;
}

function graphProblem(settings: PhaseSettings): string | null {
  const nodes = graphNodes(settings);
  if (nodes <= mostNodes) return null;
  const helps = changesOf(settings);
  const said = helps.length > 0 ? `what would help: ${helps.join(', ')}` : 'only a smaller model would do';
  return `phase ${settings.phase} would need a graph of about ${number(nodes)} nodes (at most ${number(mostNodes)}), mostly chunks of its losses; ${said}`;
}

/** The least change of each kind after which a graph is small enough. */
function changesOf(settings: PhaseSettings): string[] {
  const { accumulate, batches, objectives } = settings;
  const small = (changed: PhaseSettings) => graphNodes(changed) <= mostNodes;
  const least = Math.min(...new PhaseSteps(batches).shapes().map(({ count }) => count));
  const divisors = Array.from({ length: least }, (_, i) => i + 1).filter((n) => least % n === 0);
  const micro = divisors
    .filter((parts) => parts > accumulate && least / parts >= 2)
    .map((parts) => [`"accumulate": ${parts}`, { ...settings, accumulate: parts }] as const);
  const smaller = divisors
    .filter((parts) => parts > 1 && batches.batch / parts >= 2)
    .map((parts) => batches.batch / parts)
    .map((batch) => [`"batch": ${batch}`, { ...settings, accumulate: 1, batches: { ...batches, batch } }] as const);
  const { captioning } = objectives;
  const rows = captioning && Array.from({ length: 12 }, (_, i) => 2 ** (i + 1) * captioning.chunk);
  const longer = (rows ?? []).map(
    (chunk) =>
      [
        `"chunk": ${chunk} of captioning`,
        { ...settings, objectives: { ...objectives, captioning: { ...captioning!, chunk } } },
      ] as const,
  );
  return [micro, longer, smaller].flatMap((kind) => kind.find(([, changed]) => small(changed))?.[0] ?? []);
}
