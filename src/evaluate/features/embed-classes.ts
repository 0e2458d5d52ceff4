import type { FeatureModel } from '../../model/features.ts';
import { embedNamed } from './embed-named.ts';
import type { EmbeddedPart, EmbedEvents, EmbedJob } from './job.ts';
import { madeBy } from './made-by.ts';
import { writePart } from './part-file.ts';
import { type ClassSpec, specHash } from './spec.ts';

/**
 * A part of the names of classes, each under the mean of its templates, normalised again (big_vision
 * `evaluators/proj/image_text/discriminative_classifier.py`).
 */
export async function embedClasses(
  job: EmbedJob,
  spec: ClassSpec,
  model: FeatureModel,
  events: EmbedEvents,
): Promise<EmbeddedPart> {
  const size = spec.perPart;
  const names = spec.names.slice(job.part * size, (job.part + 1) * size);
  const named = { texts: names, concepts: Int32Array.from(names, (_, i) => i) };
  const read = spec.templates.length > 0 ? { templates: [...spec.templates] } : null;
  const data = await embedNamed(named, model, job, spec.text, read, events);
  const facts = { spec: specHash(spec), part: job.part, examples: [], skipped: [], made: madeBy(job) };
  const { width } = job.model.vision;
  const written = await writePart(job.out, facts, { classes: { shape: [names.length, width], data } });
  return { ...written, examples: names.length, skipped: 0 };
}
