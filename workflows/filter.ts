import {
  ContinueAsNew,
  continueAsNew,
  isCancellation,
  proxyActivities,
  setDefaultSignalHandler,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, FilterBegun } from '../activities/types.ts';
import { clearFailure, invalid, sentence } from './failures.ts';
import { indexed } from './index-shards.ts';
import { type PhaseState, statusOf, statusQuery } from './messages.ts';
import { lightOptions, packOptions, packsAtOnce, packsOfOneHistory, scoreOptions } from './policies.ts';

const { planFilter } = proxyActivities<Activities>(lightOptions);
const { filterStep, reportFilter } = proxyActivities<Activities>(packOptions);
const { embedShard } = proxyActivities<Activities>(scoreOptions);

/** What a history hands to the next: as much for a hundred million examples as for ten. */
interface FilterCarried {
  readonly begun: FilterBegun;
  /** Number of the stage that it is at, and parts of it that are done. */
  readonly stage: number;
  readonly next: number;
}

/**
 * Weighs the examples of shards before anything is trained on them, and copies none. Each part of a step is an activity whose
 * result lies in the bucket under a key of its own, so that a start of the same settings goes on where an earlier one was.
 */
export async function siglip2Filter(...given: [unknown?, FilterCarried?]): ReturnType<Activities['reportFilter']> {
  const { workflowId: run, continuedFromExecutionRunId } = workflowInfo();
  const [input, before] = continuedFromExecutionRunId === undefined ? [given[0]] : given;
  let state: PhaseState = 'planning';
  let failure: string | null = null;
  let doing: string | null = before ? 'going on' : 'indexing the shards';
  const show = () => ({ ...statusOf(run, state, null, 1, failure, workflowInfo().unsafe.now()), doing });
  setHandler(statusQuery, show);
  // Nothing steers a filter, and what makes no sense must not fail it.
  setDefaultSignalHandler(() => {});
  try {
    if (ArrayBuffer.isView(input))
      throw invalid('siglip2Filter takes one JSON document, without --input-meta; src/filtering/README.md says how');
    const report = await steps(before ?? (await begin()));
    state = 'done';
    doing = null;
    return report;
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    state = isCancellation(error) ? 'stopped' : 'failed';
    if (state === 'failed') failure = sentence(error);
    throw clearFailure(error);
  }

  async function begin(): Promise<FilterCarried> {
    await indexed({ filter: input }, (done, of) => {
      doing = `indexed ${done} of ${of} shards`;
    });
    return { begun: await planFilter(input), stage: 0, next: 0 };
  }

  async function steps({ begun, ...at }: FilterCarried): ReturnType<Activities['reportFilter']> {
    const { stages, ...of } = begun;
    let room = packsOfOneHistory;
    for (let stage = at.stage; stage < stages.length; stage++) {
      const { step, parts } = stages[stage]!;
      let next = stage === at.stage ? at.next : 0;
      while (next < parts) {
        if (room === 0) await continueAsNew<typeof siglip2Filter>(input, { begun, stage, next });
        const [from, end] = [next, Math.min(parts, next + room)];
        let done = from;
        room -= end - from;
        const lane = async () => {
          while (next < end) {
            const part = next++;
            if (step === 'embed') await embedShard({ begun: of, step, part });
            else await filterStep({ begun: of, step, part });
            doing = `step ${stage + 1} of ${stages.length}, ${step}: ${++done} of ${parts}`;
          }
        };
        await Promise.all(Array.from({ length: Math.min(packsAtOnce, end - from) }, lane));
      }
    }
    doing = 'writing the report';
    return reportFilter(of);
  }
}
