import { type FigureDocument, resultIn } from '../evaluate/result.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { readDocument, toDocument } from './documents.ts';
import { evaluationsPrefix } from './keys.ts';
import { swapDocument } from './swap.ts';
import type { Commit } from './types.ts';

/** `metrics.json` beside a checkpoint: what is known of it, for people and for what looks no further. */
export interface MetricsDocument {
  readonly version: 1;
  readonly run: string;
  readonly phase: string;
  readonly revision: number;
  readonly step: number;
  readonly examples: number;
  readonly sha256: string;
  readonly metrics: Commit['metrics'];
  /** Those that have ended, in the order of their keys. */
  readonly evaluations: readonly {
    readonly task: string;
    /** Of the whole document, with intervals and fingerprints. */
    readonly key: string;
    readonly figures: readonly Pick<FigureDocument, 'evaluator' | 'view' | 'figures'>[];
  }[];
}

export const metricsKey = ({ prefix }: Pick<Commit, 'prefix'>): string => `${prefix}metrics.json`;

/**
 * Writes it down, made of the commit and of the evaluations that lie in the bucket: whoever comes last has them all, and again it
 * is the same. So it may be lost at any time. Evaluations are listed after what is there was looked at: of two that end at once the
 * second sees the first.
 */
export async function keepMetrics(store: ObjectStore, commit: Commit): Promise<void> {
  const body = async () => toDocument(await metricsOf(store, commit));
  await swapDocument(store, metricsKey(commit), body, (bytes, own) => bytes.equals(own));
}

async function metricsOf(store: ObjectStore, commit: Commit): Promise<MetricsDocument> {
  const { run, phase, revision, step, examples, sha256, metrics } = commit;
  const evaluations = await evaluationsOf(store, commit);
  return { version: 1, run, phase, revision, step, examples, sha256, metrics, evaluations };
}

/** The evaluations of a checkpoint that have ended. */
export async function evaluationsOf(
  store: ObjectStore,
  at: Pick<Commit, 'run' | 'phase' | 'step' | 'sha256'>,
): Promise<MetricsDocument['evaluations']> {
  const evaluations: MetricsDocument['evaluations'][number][] = [];
  for await (const { key } of store.list(evaluationsPrefix(at))) {
    if (!key.endsWith('/result.json')) continue;
    const found = await readDocument(store, key);
    const result = found && 'bytes' in found ? resultOf(found.bytes) : null;
    // Of a phase that was done again there may be another checkpoint of this step.
    if (result?.model.sha256 !== at.sha256) continue;
    const figures = result.figures.map(({ evaluator, view, figures }) => ({ evaluator, view, figures }));
    evaluations.push({ task: result.task.name, key, figures });
  }
  return evaluations.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function resultOf(bytes: Buffer) {
  try {
    return resultIn(JSON.parse(bytes.toString('utf8')));
  } catch {
    return null;
  }
}
