import { loadTokenizer, rulesOf } from '../../data/example/tokenizer.ts';
import type { FeatureModel } from '../../model/features.ts';
import type { ReadSettings } from '../../recipe/reading.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { embedTexts } from '../embed-texts.ts';
import type { NamedTexts } from '../labels.ts';
import { tellingPause } from '../numbers/pause.ts';
import type { EmbedEvents, EmbedJob } from './job.ts';
import type { TextSpec } from './spec.ts';

/** (n, E) of length 1: each text, or the mean of its templates. */
export async function embedNamed(
  named: NamedTexts,
  model: FeatureModel,
  job: Pick<EmbedJob, 'model' | 'part'>,
  text: TextSpec,
  read: Pick<ReadSettings, 'templates' | 'fields'> | null,
  { note, signal }: EmbedEvents,
): Promise<Float32Array> {
  const tokenizer = loadTokenizer({ ...rulesOf(job.model), lowerCase: text.case === 'lower' });
  const pause = tellingPause(() => note(`texts of part ${job.part}`), signal);
  const { rows, width } = await embedTexts(
    named,
    model,
    tokenizer,
    job.model,
    (read ?? undefined) as ReadSettings | undefined,
    pause,
  );
  requireFinite(rows, width, (i) => `the text ${JSON.stringify(named.texts[i]!.slice(0, 60))}`);
  return rows;
}

/** NonFinite with what the first such row is of. */
export function requireFinite(rows: Float32Array, width: number, nameOf: (row: number) => string): void {
  const at = rows.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new RunnerError(
    'NonFinite',
    `the model makes no number of ${nameOf(Math.floor(at / width))}: evaluate another checkpoint`,
  );
}
