import {
  ContinueAsNew,
  continueAsNew,
  isCancellation,
  proxyActivities,
  setDefaultSignalHandler,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../activities/types/activities.ts';
import type { PackInput, PackListed } from '../activities/types/pack.ts';
import { clearFailure, sentence } from './failures.ts';
import { type PhaseState, statusOf, statusQuery } from './messages.ts';
import { lightOptions, packOptions, packsAtOnce, packsOfOneHistory, picturesOfPartition } from './policies.ts';

const { beginPack } = proxyActivities<Activities>(lightOptions);
const { listPack, hashPart, mergePart, settlePack, packPart, reportPack } = proxyActivities<Activities>(packOptions);

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
export async function siglip2Pack(...given: [unknown?, PackCarried?]): ReturnType<Activities['reportPack']> {
  const { workflowId: run, continuedFromExecutionRunId } = workflowInfo();
  const [input, before] = continuedFromExecutionRunId === undefined ? [given[0]] : given;
  let state: PhaseState = 'planning';
  let failure: string | null = null;
  let doing: string | null = before ? 'going on' : 'listing what is there';
  const show = () => ({ ...statusOf(run, state, null, 1, failure, workflowInfo().unsafe.now()), doing });
  setHandler(statusQuery, show);
  // Nothing steers a pack, and what makes no sense must not fail it.
  setDefaultSignalHandler(() => {});
  try {
    const carried = before ?? (await begun());
    const report = await steps(carried);
    state = 'done';
    doing = null;
    return report;
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    state = isCancellation(error) ? 'stopped' : 'failed';
    if (state === 'failed') failure = sentence(error);
    throw clearFailure(error);
  }

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
        await fanOut(next, end, async (n) => {
          if (stage === 'hash') usable += (await hashPart({ ...pack, part: n, partitions })).usable;
          else if (stage === 'merge') await mergePart({ ...pack, partition: n });
          else packed += (await packPart({ ...pack, part: n })).examples;
          done++;
          doing = {
            hash: `looked at ${done} of ${count} parts, ${usable} pictures can be used`,
            merge: `compared ${done} of ${count} partitions of ${usable} pictures`,
            pack: `packed ${done} of ${count} parts, ${packed} pictures`,
          }[stage as 'hash'];
        });
        next = end;
      }
      next = 0;
      if (stage === 'settle' && compared) {
        doing = 'joining duplicates';
        await settlePack({ ...pack, partitions });
      }
    }
    doing = 'writing the report';
    return reportPack({ ...pack, partitions });
  }
}

/** Works for `from` to `to`, as many at once as there may be workers. */
async function fanOut(from: number, to: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = from;
  async function lane(): Promise<void> {
    while (next < to) await work(next++);
  }
  await Promise.all(Array.from({ length: Math.min(packsAtOnce, to - from) }, lane));
}
