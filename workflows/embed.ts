import { continueAsNew } from '@temporalio/workflow';
import type { EmbeddingsBegun, EmbeddingsReport } from '../activities/types/embeddings.ts';
import { addUsed, nothingUsed, type Used } from '../src/costs/used.ts';
import { outOf } from '../src/runtime/count-text.ts';
import { activitiesBy, showLog } from './activities-by.ts';
import { invalid } from './failures.ts';
import { indexed } from './index-shards.ts';
import { evaluateOptions, lightOptions, packOptions, scoresAtOnce, scoresOfOneHistory } from './policies.ts';
import { fanOut, preparing } from './preparing.ts';

const { planEmbeddings } = activitiesBy(lightOptions);
const { sealEmbeddings } = activitiesBy(packOptions);
const { embedPart } = activitiesBy({ ...evaluateOptions, cancellationType: 'TRY_CANCEL' });

/** What a history hands to the next: as much for a hundred million examples as for ten. */
interface EmbedCarried {
  readonly begun: EmbeddingsBegun;
  /** Parts that are done. */
  readonly next: number;
  readonly used: Used;
}

/**
 * Embeds pictures and texts of shards by a model. Each part is an activity whose result lies in the bucket under a key of its
 * own, so that a start of the same settings goes on where an earlier one was; a manifest commits them all.
 */
export function siglip2Embed(...given: [unknown?, EmbedCarried?]): Promise<EmbeddingsReport> {
  showLog();
  return preparing(given, 'indexing the shards', async (input, before, say) => {
    if (ArrayBuffer.isView(input))
      throw invalid('siglip2Embed takes one JSON document, without --input-meta; src/embeddings/README.md says how');
    const { begun, ...at } = before ?? { begun: await begin(), next: 0, used: nothingUsed };
    let { next, used } = at;
    if (!begun.done) {
      const end = Math.min(begun.parts, next + scoresOfOneHistory);
      await fanOut(next, end, scoresAtOnce, async (part) => {
        const { used: own } = await embedPart({ plan: { document: begun.document }, set: 'test', part });
        if (own) used = addUsed(used, own);
        say(outOf(++next, begun.parts, 'part'));
      });
      if (end < begun.parts) await continueAsNew<typeof siglip2Embed>(input, { begun, next: end, used });
    }
    say('committing');
    return { ...(await sealEmbeddings({ document: begun.document })), used };

    async function begin(): Promise<EmbeddingsBegun> {
      await indexed({ embedding: input }, (done, of) => {
        say(`indexed ${outOf(done, of, 'shard')}`);
      });
      return planEmbeddings(input);
    }
  });
}
