import { continueAsNew } from '@temporalio/workflow';
import type { Activities } from '../activities/types/activities.ts';
import type { FilterBegun } from '../activities/types/filter.ts';
import { outOf } from '../src/runtime/count-text.ts';
import { activitiesBy, showLog } from './activities-by.ts';
import { invalid } from './failures.ts';
import { indexed } from './index-shards.ts';
import { lightOptions, packOptions, packsAtOnce, packsOfOneHistory, scoreOptions } from './policies.ts';
import { fanOut, preparing } from './preparing.ts';

const { planFilter } = activitiesBy(lightOptions);
const { filterStep, reportFilter } = activitiesBy(packOptions);
const { embedShard } = activitiesBy(scoreOptions);

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
export function siglip2Filter(...given: [unknown?, FilterCarried?]): ReturnType<Activities['reportFilter']> {
  showLog();
  return preparing(given, 'indexing the shards', async (input, before, say) => {
    if (ArrayBuffer.isView(input))
      throw invalid('siglip2Filter takes one JSON document, without --input-meta; src/filtering/README.md says how');
    return steps(before ?? (await begin()));

    async function begin(): Promise<FilterCarried> {
      await indexed({ filter: input }, (done, of) => {
        say(`indexed ${outOf(done, of, 'shard')}`);
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
          await fanOut(from, end, packsAtOnce, async (part) => {
            if (step === 'embed') await embedShard({ begun: of, step, part });
            else await filterStep({ begun: of, step, part });
            say(`step ${stage + 1} of ${stages.length}, ${step}: ${++done} of ${parts}`);
          });
          next = end;
        }
      }
      say('writing the report');
      return reportFilter(of);
    }
  });
}
