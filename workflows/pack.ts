import { continueAsNew } from '@temporalio/workflow';
import type { Activities } from '../activities/types/activities.ts';
import type { PackInput, PackListed } from '../activities/types/pack.ts';
import { counted, outOf } from '../src/runtime/count-text.ts';
import { activitiesBy, showLog } from './activities-by.ts';
import { lightOptions, packOptions, packsAtOnce, packsOfOneHistory, picturesOfPartition } from './policies.ts';
import { fanOut, preparing } from './preparing.ts';

const { beginPack } = activitiesBy(lightOptions);
const { listPack, hashPart, mergePart, settlePack, packPart, reportPack } = activitiesBy(packOptions);

/** What is done for each part or partition, in this order. */
const stages = ['hash', 'merge', 'settle', 'pack', 'report'] as const;

/** What a history hands to the next: as much for a hundred million pictures as for ten. */
interface PackCarried {
  readonly pack: PackInput;
  readonly listed: PackListed;
  readonly stage: (typeof stages)[number];
  /** Parts or partitions of the stage that are done. */
  readonly next: number;
  readonly usable: number;
  readonly packed: number;
}

/**
 * Reads what lies below one prefix and writes it as WebDataset shards below another, each picture once. Each step is an
 * activity whose result lies in the bucket under a key of its own, so that a start of the same settings goes on where an
 * earlier one was. The answer is what `pack.json` beside the shards says.
 */
export function siglip2Pack(...given: [unknown?, PackCarried?]): ReturnType<Activities['reportPack']> {
  showLog();
  return preparing(given, 'listing what is there', async (input, before, say) => {
    return steps(before ?? (await begun()));

    async function begun(): Promise<PackCarried> {
      const { done, ...pack } = await beginPack(input);
      const listed = done ? { layout: '', parts: 0, items: 0 } : await listPack(pack);
      return { pack, listed, stage: done ? 'report' : 'hash', next: 0, usable: 0, packed: 0 };
    }

    async function steps({ pack, listed, ...at }: PackCarried): ReturnType<Activities['reportPack']> {
      const partitions = Math.max(1, Math.ceil(listed.items / picturesOfPartition));
      const compared = pack.settings.duplicates !== 'keep';
      let { usable, packed } = at;
      let [room, next] = [packsOfOneHistory, at.next];
      for (const stage of stages.slice(stages.indexOf(at.stage))) {
        const count = stage === 'merge' ? partitions : stage === 'hash' || stage === 'pack' ? listed.parts : 0;
        const skipped = stage === 'merge' && !compared;
        while (!skipped && next < count) {
          if (room === 0) await continueAsNew<typeof siglip2Pack>(input, { pack, listed, stage, next, usable, packed });
          const end = Math.min(count, next + room);
          room -= end - next;
          let done = next;
          await fanOut(next, end, packsAtOnce, async (n) => {
            // A sum that is read before its part is awaited loses what others add meanwhile.
            if (stage === 'hash') {
              const own = await hashPart({ ...pack, part: n, partitions });
              usable += own.usable;
            } else if (stage === 'merge') await mergePart({ ...pack, partition: n });
            else {
              const own = await packPart({ ...pack, part: n });
              packed += own.examples;
            }
            done++;
            say(
              {
                hash: `looked at ${outOf(done, count, 'part')}, ${counted(usable, 'picture')} can be used`,
                merge: `compared ${outOf(done, count, 'partition')} of ${counted(usable, 'picture')}`,
                pack: `packed ${outOf(done, count, 'part')}, ${counted(packed, 'picture')}`,
              }[stage as 'hash'],
            );
          });
          next = end;
        }
        next = 0;
        if (stage === 'settle' && compared) {
          say('joining duplicates');
          await settlePack({ ...pack, partitions });
        }
      }
      say('writing the report');
      return reportPack({ ...pack, partitions });
    }
  });
}
