import { CancellationScope } from '@temporalio/workflow';
import type { WrittenReport } from '../activities/types/phase-end.ts';
import { activitiesBy } from './activities-by.ts';
import { sentence } from './failures.ts';
import type { PhaseGraph } from './phase-graph.ts';
import { reportOptions } from './policies.ts';

const { writeReport } = activitiesBy(reportOptions);

/**
 * Has the page of a run written, with what is known of a phase that has ended, or of the run itself. Also of a run that was
 * cancelled; a page that could not be written fails nothing, and gives null.
 */
export async function reported(run: string, graph: PhaseGraph, phase: string | null): Promise<WrittenReport | null> {
  const told = graph.told(phase);
  try {
    return await CancellationScope.nonCancellable(() => writeReport({ run, phase, ...told }));
  } catch (error) {
    graph.noteRun(`no report: ${sentence(error)}; npm run siglip2 -- report ${run} writes it`);
    return null;
  }
}
