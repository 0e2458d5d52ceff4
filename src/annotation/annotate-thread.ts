import { produce } from '../runtime/produce.ts';
import { type Annotated, type AnnotationJob, annotateExamples } from './annotate-examples.ts';

/** The thread of `annotateShard`: a graph runs for seconds without giving way, and an activity beats meanwhile. */
produce<AnnotationJob, Annotated | null>(
  async function* (job) {
    yield* annotateExamples(job);
    yield null;
  },
  () => [],
);
