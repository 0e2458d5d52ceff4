import { z } from 'zod';
import { type FigureDocument, resultIn } from '../evaluate/result.ts';
import { datasetSchema, type Task } from '../evaluate/tasks/task.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { parseWith, readDocument, toDocument } from './documents.ts';
import { evaluationsPrefix, phasePrefix } from './keys.ts';
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
  /** Figures of the evaluation at the end of the phase, that which a recipe asks for without tasks; absent: none has ended. */
  readonly evaluation?: { readonly key: string } & Readonly<Record<string, unknown>>;
  /** Those by tasks that have ended, in the order of their keys. */
  readonly evaluations: readonly KeptEvaluation[];
}

export interface KeptEvaluation {
  readonly task: string;
  /** Of the whole document, with intervals and fingerprints. */
  readonly key: string;
  /** What its data are on the hub; absent where the task does not say. */
  readonly dataset?: NonNullable<Task['dataset']>;
  readonly figures: readonly Pick<FigureDocument, 'evaluator' | 'view' | 'figures'>[];
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
  const evaluation = await phaseEndOf(store, commit);
  const own = { version: 1, run, phase, revision, step, examples, sha256, metrics } as const;
  return { ...own, ...(evaluation && { evaluation }), evaluations };
}

const phaseEnd = z.looseObject({ checkpoint: z.looseObject({ sha256: z.string() }) });

/** What activities/evaluate.ts wrote of this very checkpoint: of several the last, which is of other data or settings. */
async function phaseEndOf(store: ObjectStore, at: Commit): Promise<MetricsDocument['evaluation'] | null> {
  const prefix = `${phasePrefix(at)}evaluation-`;
  const found: { readonly key: string; readonly modified: number }[] = [];
  for await (const { key, modified } of store.list(prefix))
    if (/^[0-9a-f]{16}\.json$/.test(key.slice(prefix.length))) found.push({ key, modified: modified.getTime() });
  for (const { key } of found.sort((a, b) => b.modified - a.modified || (a.key < b.key ? -1 : 1))) {
    const document = await readDocument(store, key);
    const parsed = document && 'bytes' in document ? parseWith(phaseEnd, document.bytes).value : undefined;
    if (parsed?.checkpoint.sha256 !== at.sha256) continue;
    const { checkpoint: _, ...figures } = parsed;
    return { key, ...figures };
  }
  return null;
}

/** The evaluations of a checkpoint that have ended. */
export async function evaluationsOf(
  store: ObjectStore,
  at: Pick<Commit, 'run' | 'phase' | 'step' | 'sha256'>,
): Promise<KeptEvaluation[]> {
  const evaluations: KeptEvaluation[] = [];
  for await (const { key } of store.list(evaluationsPrefix(at))) {
    if (!key.endsWith('/result.json')) continue;
    const found = await readDocument(store, key);
    const result = found && 'bytes' in found ? resultOf(found.bytes) : null;
    // Of a phase that was done again there may be another checkpoint of this step.
    if (result?.model.sha256 !== at.sha256) continue;
    const figures = result.figures.map(({ evaluator, view, figures }) => ({ evaluator, view, figures }));
    const dataset = datasetSchema.safeParse(result.task.dataset).data;
    evaluations.push({ task: result.task.name, key, ...(dataset && { dataset }), figures });
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
